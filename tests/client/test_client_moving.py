"""Following a node's advice where to connect."""

from pathlib import Path
from random import Random

import attrs

from client.client import Client
from client.moving import Moving
from client.settings import Settings
from client.trust import Plain, Server
from node.wire import verbs
from tests.client.fake_node import FakeNode
from tests.client.fake_server import FAST, Serving, on_both, serve

HOME = Server("node.example", 7443)
ALICE = "+15551230001"


def moving(**settings: float) -> Moving:
    return Moving(HOME, Settings(**settings), Random(1))  # type: ignore[arg-type]


def test_advice_is_followed_once_and_after_a_while_of_ones_own() -> None:
    one = moving(move_spread=10.0)
    assert one.choose(0.0) == HOME
    assert one.advise(5.0, "b.example", 1)
    deadline = one.deadline
    assert deadline is not None
    assert 5.0 < deadline < 15.0
    assert not one.is_due(5.0)
    assert one.is_due(deadline)
    assert one.choose(deadline) == Server("b.example", 1)
    assert one.deadline is None
    assert one.choose(deadline + 100) == HOME, "whatever ended it, the next goes home"


def test_phones_that_are_told_at_once_go_at_different_times() -> None:
    times = set()
    for seed in range(20):
        one = Moving(HOME, Settings(move_spread=10.0), Random(seed))
        one.advise(0.0, "b.example", 1)
        times.add(one.deadline)
    assert len(times) == 20


def test_a_connection_that_ends_before_it_was_to_move_goes_home() -> None:
    one = moving(move_spread=10.0)
    one.advise(0.0, "b.example", 1)
    assert one.choose(0.0) == HOME
    assert one.deadline is None


def test_advice_that_came_to_nothing_is_not_heard_for_a_while() -> None:
    one = moving(move_spread=0.1, move_pause=60.0)
    one.advise(0.0, "b.example", 1)
    one.choose(1.0)
    one.failed(1.0)
    assert not one.advise(60.0, "b.example", 1)
    assert one.advise(61.0, "b.example", 1)


def test_a_failure_at_home_says_nothing_about_advice() -> None:
    one = moving()
    one.choose(0.0)
    one.failed(0.0)
    assert one.advise(0.0, "b.example", 1)


def test_where_one_is_already_is_no_advice() -> None:
    one = moving(move_spread=0.1)
    assert not one.advise(0.0, "node.example", 7443)
    one.advise(0.0, "b.example", 1)
    one.choose(1.0)
    assert not one.advise(1.0, "b.example", 1)


def test_who_does_not_want_to_move_does_not() -> None:
    assert not Moving(HOME, Settings(follow_moves=False), Random(1)).advise(0.0, "b.example", 1)


def advise(server: Serving, host: str, port: int) -> None:
    for session in server.streams:
        session.out.append((verbs.MOVED, host, port))


async def register(client: Client, server: Serving) -> None:
    await client.request_pin(ALICE)
    await client.register(server.node.pins[int(ALICE)])
    await client.wait_online()


@on_both
async def test_a_client_goes_where_it_is_told_and_home_from_there(tmp_path: Path) -> None:
    node = FakeNode(window=64)
    settings = attrs.evolve(FAST, move_spread=0.01)
    async with (
        serve(node=node) as home,
        serve(node=node) as there,
        Client.open(tmp_path / "a", home.address, tls=Plain(), settings=settings) as alice,
    ):
        await register(alice, home)
        host, port = there.address.split(":")
        advise(home, host, int(port))
        await home.push()
        while not there.streams:
            await alice._driver.changed.wait()
        await alice.wait_online()
        assert not home.streams
        await there.drop_all()
        while not home.streams:
            await alice._driver.changed.wait()
        await alice.wait_online()


@on_both
async def test_a_place_that_cannot_be_reached_costs_one_try(tmp_path: Path) -> None:
    settings = attrs.evolve(FAST, move_spread=0.01)
    async with (
        serve() as home,
        Client.open(tmp_path / "a", home.address, tls=Plain(), settings=settings) as alice,
    ):
        await register(alice, home)
        before = alice._driver.connections
        advise(home, "127.0.0.1", 1)
        await home.push()
        while alice._driver.connections == before:
            await alice._driver.changed.wait()
        await alice.wait_online()
        assert alice._driver.moving.moves == 1
        assert len(home.streams) == 1
