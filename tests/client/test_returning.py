"""Phones of a node that died come back spread; who was told a time keeps to it; an app in use doesn't wait."""

from collections import Counter
from pathlib import Path
from random import Random

import anyio
import attrs

from client.client import Client
from client.driver import Status
from client.returning import Returning
from client.settings import Settings
from client.trust import Plain
from node.wire import errors, verbs
from tests.client.fake_server import FAST, on_both, serve
from tests.client.test_client import ALICE, register

PHONES = 10_000


def after(settings: Settings, seed: int, *, online: bool = True, cut: bool = True) -> Returning:
    """One whose connection has just ended."""
    one = Returning(settings, Random(seed))
    if online:
        one.online(0.0)
    one.ended(1_000.0, cut=cut)
    return one


def test_phones_of_a_node_that_died_are_spread_evenly() -> None:
    settings = Settings()
    waits = [after(settings, seed).wait(0.0) for seed in range(PHONES)]
    assert max(waits) <= settings.cut_spread
    assert min(waits) >= settings.backoff_min / 2
    each_second = Counter(int(wait) for wait in waits)
    assert max(each_second.values()) <= 1.25 * PHONES / settings.cut_spread


def test_only_the_first_wait_is_spread_and_the_next_are_as_ever() -> None:
    for seed in range(200):
        one = after(Settings(), seed)
        one.wait(0.0)
        one.ended(1_010.0, cut=True)  # nobody took the connection
        assert one.wait(0.0) <= 2 * Settings().backoff_min
        assert not one.spreads


def test_who_was_told_a_time_or_ended_it_or_never_was_in_is_not_spread() -> None:
    settings = Settings(cut_spread=600.0)
    for seed in range(50):
        assert 30.0 <= after(settings, seed).wait(30.0) <= 37.5
        for one in (after(settings, seed, cut=False), after(settings, seed, online=False)):
            assert one.wait(0.0) <= settings.backoff_min


@on_both
async def test_a_message_ends_a_wait_that_is_only_for_the_sake_of_others(tmp_path: Path) -> None:
    settings = attrs.evolve(FAST, cut_spread=1e6)
    async with (
        serve() as server,
        Client.open(tmp_path / "a", server.address, tls=Plain(), settings=settings) as one,
    ):
        await register(one, server, ALICE)
        connections = one.statistics()["connections"]
        await server.drop_all()
        while one.status is not Status.WAITING:
            await one.status_changed()
        await anyio.sleep(10 * FAST.backoff_max)
        assert one.status is Status.WAITING, "nobody is in a hurry"
        sent = await one.send_text(ALICE, "to myself")
        await sent.accepted()
        assert one.statistics()["connections"] == connections + 1


@on_both
async def test_a_goodbye_counts_that_comes_together_with_the_end_of_the_connection(tmp_path: Path) -> None:
    settings = attrs.evolve(FAST, cut_spread=0.05)
    async with (
        serve() as server,
        Client.open(tmp_path / "a", server.address, tls=Plain(), settings=settings) as one,
    ):
        await register(one, server, ALICE)
        connections = one.statistics()["connections"]
        (session,) = server.streams
        session.out.append((verbs.BYE, errors.SHUTTING_DOWN, 3_600_000))
        session.closed = True
        await server.push()
        while one.status is not Status.WAITING:
            await one.status_changed()
        await anyio.sleep(10 * FAST.backoff_max)
        assert (one.status, one.statistics()["connections"]) == (Status.WAITING, connections)
