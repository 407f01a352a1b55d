"""The sampler of a node: every figure of a real one is known, records are kept, alarms are told, costs are counted."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import structlog
import trio

from admin.statistics.alarms import RAISED, Alarm, AlarmSettings, Event
from admin.statistics.catalogue import CATALOGUE
from admin.statistics.figures import UNKNOWN
from admin.statistics.history import HistoryReader, HistoryWriter
from admin.statistics.layout import SECOND
from admin.statistics.machine import Machine
from admin.statistics.service import Statistics
from admin.statistics.settings import AlarmWebhookSettings, StatisticsSettings
from admin.statistics.telling import Teller
from node.posting import Poster
from tests.node.accounts.test_accounts_webhook import Answer, Receiver
from tests.node.live import Device, live_node

GIVE_UP_S = 10.0


class Clock:
    def __init__(self, now: float = 100.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def statistics_of(
    folder: Path, figures: dict[str, Any], clock: Clock, *, alarms: AlarmSettings | None = None, **more: Any
) -> Statistics:
    settings = StatisticsSettings(alarms=alarms or AlarmSettings(disk_bytes=0, disk_share=0, memory_share=0))
    return Statistics(
        settings, lambda: figures, Machine(folder), wall=lambda: 1e9 + clock.now, monotonic=clock, **more
    )


async def test_every_figure_of_a_node_that_serves_is_known(tmp_path: Path) -> None:
    alice, bob = Device.of(1), Device.of(2)
    async with live_node(tmp_path, devices=(alice, bob)) as node:
        with HistoryWriter(tmp_path / "h") as history:
            statistics = Statistics(
                StatisticsSettings(), node.running.statistics, Machine(tmp_path), history=history
            )
            sender, recipient = await node.login(alice), await node.login(bob)
            await sender.send(alice.send(bob, 1))
            await recipient.send(bob.ack(alice, 1))
            await sender.close()
            await node.greeted()
            await node.settle()
            await statistics.look(0.0)
            await statistics.look(0.0)
        found = statistics.figures()
        assert [path for path in found if CATALOGUE.of(path) is UNKNOWN] == []
        assert found["mail.taken"] == 1
        assert found["system.memory.resident_bytes"] > 1 << 20
        assert {line["queue"] for line in statistics.queues()} >= {"mail", "commits of users", "soon", "pins"}


async def test_a_sample_is_kept_when_the_next_one_is_taken(tmp_path: Path) -> None:
    clock = Clock()
    figures: dict[str, Any] = {"mail": {"sends": 0}}
    with HistoryWriter(tmp_path / "h") as history:
        statistics = statistics_of(tmp_path, figures, clock, history=history)
        await statistics.look(0.0)
        for second in range(1, 4):
            clock.now += 1
            figures["mail"]["sends"] = 10 * second
            await statistics.look(0.002)
    with HistoryReader(tmp_path / "h") as reader:
        names = reader.names()
        kept = [record.by_name(names) for record in reader.records(SECOND)]
    assert [record["mail.sends"] for record in kept] == [10, 10]
    assert kept[0]["loop.late_ms"] == 2
    assert kept[0]["statistics.cpu_seconds"] > 0, "what it costs a second"


async def test_the_last_second_is_kept_when_it_ends(tmp_path: Path) -> None:
    figures = {"mail": {"sends": 1}}
    with HistoryWriter(tmp_path / "h") as history:
        statistics = statistics_of(tmp_path, figures, Clock(), history=history)
        statistics._monotonic = trio.current_time
        async with trio.open_nursery() as nursery:
            await nursery.start(statistics.run)
            await statistics.look(0.0)
            nursery.cancel_scope.cancel()
    with HistoryReader(tmp_path / "h") as reader:
        assert len(reader.records(SECOND)) == 1


async def test_a_loop_that_comes_late_misses_samples_and_says_so(tmp_path: Path) -> None:
    clock = Clock()
    statistics = statistics_of(tmp_path, {}, clock)
    assert await statistics.step(due=100.0) == 101.0
    clock.now = 104.5
    assert await statistics.step(due=101.0) == 105.0
    assert statistics.statistics()["missed"] == 3
    assert statistics.figures()["loop.late_ms"] == 3_500


async def test_what_it_costs_is_counted(tmp_path: Path) -> None:
    statistics = statistics_of(tmp_path, {"mail": {"sends": 0}}, Clock())
    await statistics.look(0.0)
    after_one = statistics.costs.cpu_seconds
    assert after_one > 0
    statistics.scrape()
    assert statistics.costs.cpu_seconds > after_one


async def test_a_part_that_fails_costs_a_sample_and_not_the_node(tmp_path: Path) -> None:
    clock = Clock()
    statistics = statistics_of(tmp_path, {"mail": {"sends": 1}}, clock)
    nothing: dict[str, Any] = {}
    statistics.parts["broken"] = lambda: nothing["nothing"]
    with structlog.testing.capture_logs() as logs:
        await statistics.look(0.0)
        await statistics.look(0.0)
    assert [one["event"] for one in logs] == ["sample_failed"], "told once"
    assert statistics.statistics()["failures"] == 2
    del statistics.parts["broken"]
    await statistics.look(0.0)
    assert statistics.figures()["statistics.failures"] == 2


# ---- alarms ------------------------------------------------------------------------------------------


def teller_of(receiver: Receiver, *, tries_max: int = 3, waiting_max: int = 2, secret: bytes = b"") -> Teller:
    settings = AlarmWebhookSettings(url=receiver.url, tries_max=tries_max, waiting_max=waiting_max)
    poster = Poster(settings, secret, clock=lambda: 10**12, random=Random(1), connections_max=1)

    async def sleep(seconds: float) -> None:
        await trio.lowlevel.checkpoint()

    return Teller(settings, poster, "ab12", sleep)


async def until(condition: Any) -> None:
    with trio.fail_after(GIVE_UP_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await trio.sleep(0.005)


async def test_an_alarm_is_shown_and_told_when_it_is_raised_and_when_it_is_cleared(
    tmp_path: Path, receiver: Receiver
) -> None:
    clock = Clock()
    figures: dict[str, Any] = {"mail": {"pending": 50, "taken": 50}}
    settings = AlarmSettings(
        backlog=10, raise_after_s=0, clear_after_s=0, lag_s=0, disk_bytes=0, disk_share=0, memory_share=0
    )
    teller = teller_of(receiver, secret=b"s" * 32)
    statistics = statistics_of(tmp_path, figures, clock, alarms=settings, teller=teller)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(teller.run)
        await statistics.look(0.0)
        (shown,) = statistics.raised()
        assert (shown["name"], shown["value"], shown["threshold"]) == ("backlog mail", 50, 10)
        assert statistics.statistics()["alarms"] == 1
        assert 'waystation_alarm{alarm="backlog mail",kind="backlog"} 1' in statistics.scrape()
        clock.now += 1
        figures["mail"]["pending"] = 0
        await statistics.look(0.0)
        assert statistics.raised() == []
        assert statistics.past()[0]["name"] == "backlog mail"
        await until(lambda: teller.told == 2)
        nursery.cancel_scope.cancel()
    raised, cleared = (json.loads(posted.body) for posted in receiver.posted)
    assert (raised["what"], cleared["what"]) == ("raised", "cleared")
    assert raised["id"] == cleared["id"] == "ab12 backlog mail 1000000100"
    assert raised["text"] == "50 wait in the queue mail"
    assert receiver.posted[0].headers["Waystation-Signature"].startswith("t=1000000000,v1=")


def event(name: str) -> Event:
    return Event(RAISED, 5.0, Alarm(name, "lag", 5.0, 1.0, 1.0, 1.0, "text"))


async def test_what_cannot_be_told_is_tried_again_and_then_counted(receiver: Receiver) -> None:
    receiver.answers = [Answer(500), Answer(200), Answer(404), Answer(500)]
    teller = teller_of(receiver)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(teller.run)
        teller.tell(event("passes"))
        await until(lambda: teller.told)
        teller.tell(event("not wanted"))
        await until(lambda: teller.failed == 1)
        teller.tell(event("never"))
        await until(lambda: teller.failed == 2)
        nursery.cancel_scope.cancel()
    assert teller.statistics() == {"waiting": 0, "posts": 6, "told": 1, "failed": 2, "dropped": 0}
    assert "Waystation-Signature" not in receiver.posted[0].headers, "there is no secret to sign with"


async def test_when_too_many_wait_the_oldest_goes(receiver: Receiver) -> None:
    teller = teller_of(receiver, waiting_max=2)
    for name in ("first", "second", "third"):
        teller.tell(event(name))
    assert teller.statistics()["dropped"] == 1
    async with trio.open_nursery() as nursery:
        nursery.start_soon(teller.run)
        await until(lambda: teller.told == 2)
        nursery.cancel_scope.cancel()
    assert [b"second" in receiver.posted[0].body, b"third" in receiver.posted[1].body] == [True, True]


def test_an_address_that_would_show_alarms_to_others_is_refused() -> None:
    with pytest.raises(ValueError, match="must start with https"):
        AlarmWebhookSettings(url="http://alarms.example/")
    with pytest.raises(ValueError, match="has no host"):
        AlarmWebhookSettings(url="https://")
