"""The watchdog lives on the hub's passes, and on nothing else."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from admin.systemd.inherited import Inherited
from admin.systemd.notify import Notifier
from admin.systemd.supervision import Supervision
from node.hub.hub import Hub
from node.hub.settings import HubSettings
from tests.node.hub.echo import Echo, EchoHandler

GIVE_UP_S = 20.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind(str(tmp_path / "notify"))
        bound.setblocking(False)
        yield bound


@contextmanager
def of(tmp_path: Path, watchdog_s: float = 0.04) -> Iterator[Supervision]:
    with closing(Supervision(Notifier(str(tmp_path / "notify")), Inherited({}), watchdog_s)) as made:
        yield made


def said(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(1_000).decode())
        except BlockingIOError:
            return found


async def test_a_hub_that_makes_no_passes_feeds_nothing_although_the_loop_runs(
    tmp_path: Path, manager: socket.socket
) -> None:
    hub: Hub[Echo] = Hub(HubSettings(), EchoHandler())
    with trio.fail_after(GIVE_UP_S), of(tmp_path) as supervision:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervision.run, hub, lambda: "well")
            while supervision.skipped < 5:  # noqa: ASYNC110 - it would have fed five times
                await trio.sleep(0.001)
            assert supervision.feeds == 0
            assert said(manager) == ["STATUS=well"]
            hub.turn()
            assert supervision.feeds == 1, "one pass, one feed, however often it was asked for"
            assert said(manager) == ["WATCHDOG=1"]
            await nursery.start(hub.run)
            while supervision.feeds < 3:  # noqa: ASYNC110
                await trio.sleep(0.001)
            nursery.cancel_scope.cancel()


async def test_the_next_hub_of_a_process_feeds_although_the_last_one_ended_with_a_feed_to_send(
    tmp_path: Path, manager: socket.socket
) -> None:
    """So it is after an upgrade that failed late: the hub that was asked makes no passes any more."""
    with trio.fail_after(GIVE_UP_S), of(tmp_path) as supervision:
        for feeds in (1, 2):
            hub: Hub[Echo] = Hub(HubSettings(), EchoHandler())
            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervision.run, hub, lambda: "well")
                await trio.testing.wait_all_tasks_blocked()
                hub.turn()
                assert supervision.feeds == feeds
                skipped = supervision.skipped
                hub.close()
                while supervision.skipped < skipped + 2:  # noqa: ASYNC110 - it was asked, and is asked in vain
                    await trio.sleep(0.001)
                nursery.cancel_scope.cancel()
    assert said(manager) == ["STATUS=well", "WATCHDOG=1"] * 2


async def test_a_watchdog_nobody_asked_for_is_not_fed(tmp_path: Path, manager: socket.socket) -> None:
    hub: Hub[Echo] = Hub(HubSettings(), EchoHandler())
    with of(tmp_path, 0.0) as supervision:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(supervision.run, hub, lambda: "well")
            await trio.testing.wait_all_tasks_blocked()
            hub.turn()
            nursery.cancel_scope.cancel()
    hub.close()
    assert said(manager) == ["STATUS=well"]


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
        ({}, 0.0),
    ],
)
def test_the_watchdog_is_for_the_process_that_is_named(environment: dict[str, str], seconds: float) -> None:
    supervision = Supervision.of(environment)
    assert supervision.statistics()["watchdog_s"] == seconds
    assert "WATCHDOG_PID" not in environment


def test_unsupervised_all_rests() -> None:
    supervision = Supervision.of({"NOTIFY_SOCKET": "vsock:2:1"})
    assert not supervision.is_supervised
    supervision.ready()
    supervision.reloading("x")
    supervision.stopping()
    supervision.hand_over(1)
    supervision.keep([])
    assert supervision.prepare([]) is not None


def test_the_end_gives_the_watchdog_time(tmp_path: Path, manager: socket.socket) -> None:
    with of(tmp_path, 2.0) as supervision:
        supervision.stopping()
    assert said(manager) == ["STOPPING=1\nSTATUS=stopping\nWATCHDOG_USEC=50000000"]
    with of(tmp_path, 0.0) as supervision:
        supervision.stopping()
        supervision.passes_rest()
    assert said(manager) == ["STOPPING=1\nSTATUS=stopping"]


def test_each_step_of_an_upgrade_has_the_watchdog_wait_from_its_beginning(
    tmp_path: Path, manager: socket.socket
) -> None:
    """In systemd's service.c WATCHDOG_USEC= resets the watchdog, too."""
    with of(tmp_path, 2.0) as supervision:
        supervision.passes_rest()
    assert said(manager) == ["WATCHDOG_USEC=120000000"]


def test_after_an_upgrade_systemd_looks_whose_child_the_new_process_is(
    tmp_path: Path, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks only when another process becomes the main one."""
    lived: list[str] = []

    other = 0

    class Heard(Notifier):
        def barrier(self, seconds_max: float) -> bool:
            lived.extend(name for name in os.listdir("/proc") if name == str(other))
            return True

        def tell(self, *lines: str, descriptors: Sequence[int] = ()) -> bool:
            nonlocal other
            other = other or int(lines[0].removeprefix("MAINPID="))
            return super().tell(*lines, descriptors=descriptors)

    parents = iter((41, 41, 41, 1, 1))
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    with closing(Supervision(Heard(str(tmp_path / "notify")), Inherited({}), 1.0)) as supervision:
        supervision.adopted()
    assert list(parents) == [], "it has waited for another parent"
    assert said(manager) == [f"MAINPID={other}", f"MAINPID={os.getpid()}"]
    assert lived == [str(other)] != [str(os.getpid())], "until systemd has dealt with it"
    assert not Path(f"/proc/{other}").exists()


def test_a_predecessor_that_does_not_end_is_not_waited_for_without_end(
    tmp_path: Path, manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("admin.systemd.supervision.ADOPTED_S_MAX", 0.03)
    with of(tmp_path) as supervision:
        supervision.adopted()
    assert said(manager) == [], "systemd would see what it has seen before"


def test_without_systemd_no_process_is_started() -> None:
    with closing(Supervision(None, Inherited({}))) as supervision:
        supervision.adopted()
