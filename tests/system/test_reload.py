"""Code replaced in a real node with sessions and messages on it: nothing is dropped, and what is bad is undone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin.channel.client import Client, Target
from admin.channel.errors import Refused
from node.wire import verbs
from ops.bench.identities import device_key, number_of
from ops.bench.node_process import NodeProcess
from ops.bench.reloads import APPLY, Load, Stand, reloaded, stand_of
from ops.bench.revisions import CHANGED
from ops.bench.screen import Screen
from ops.faults.raw import RawPhone
from tests.system.persistent import GIVE_UP_S, Persistent

SENDER, RECIPIENT = 40, 41
"""Users of the idle part that no generator logs in."""


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("reload")
    with stand_of(Load(idle=30, busy=10, rate=100), folder, Screen(), spare=2) as made:
        yield made


def _state(stand: Stand) -> dict[str, Any]:
    state: dict[str, Any] = stand.admin.ask(("reload", "history"))[-1]
    return state


def test_reloads_in_a_row_drop_and_lose_nothing(stand: Stand) -> None:
    """`waystation bench reload` does so fifty times with 10,000 sessions; here it is a few with few."""
    before = stand.admin.ask(("stats", "reload"))["version"]
    told = reloaded(stand, 3, Screen(), undisturbed_seconds=0.3)
    history = stand.admin.ask(("reload", "history"))
    pauses = [one["pause_ms"] for one in history]
    assert (told["pause_ms_p50"], told["pause_ms_max"]) == (sorted(pauses)[1], max(pauses))
    assert all(isinstance(one, float) and one > 0 for one in pauses)
    assert told["swap_ms_max"] <= told["pause_ms_max"], "the swap is a part of it"
    assert told["pause_ms_max"] <= stand.admin.ask(("stats", "reload"))["pause_ms_max"]
    assert told["functions_changed"] == sum(map(len, CHANGED.values()))
    assert (told["reloads"], told["sessions"], told["closed"]) == (3, 40, 0)
    assert len({one["version"] for one in history}) == 3
    assert [one["state"] for one in history] == ["rolled_back"] * 3
    assert stand.admin.ask(("stats", "reload"))["version"] == before
    growth = (told["memory_growth_bytes"], told["memory_growth_after_bytes"])
    assert growth == (told["memory_bytes"][3] - told["memory_bytes"][0], None), "three are too few to judge"
    assert told["send_to_deliver_ms"]["p50"] > 0
    assert stand.admin.ask(("stats", "hub"))["failures"] == 0


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("def ack(", "def ack(:", "doesn't compile"),
        ("from math import ceil", "from math import sealing", "can't be imported"),
        ("PAUSE_SHARE = 8", "import nowhere\nPAUSE_SHARE = 8", "No module named 'nowhere'"),
    ],
)
def test_what_does_not_load_is_refused(stand: Stand, before: str, after: str, cause: str) -> None:
    stand.revisions.restore()
    talk = stand.revisions.folder / "node" / "talk.py"
    text = talk.read_text()
    assert before in text
    talk.write_text(text.replace(before, after, 1))
    with pytest.raises(Refused, match=cause):
        stand.admin.ask(APPLY)
    assert _state(stand)["state"] == "refused"
    stand.revisions.restore()


def test_a_change_that_raises_in_one_of_a_hundred_messages_is_undone_by_itself(stand: Stand) -> None:
    stand.revisions.restore()
    stand.revisions.fault("session", one_in=100)
    number = stand.admin.ask(("reload", "apply"))["reload"]
    sender = Persistent(stand.port, SENDER, RECIPIENT)
    for n in range(1, 151):
        sender.send(n)
    sender.close()
    assert sender.repeated > 0, "the fault was no fault"
    state = _state(stand)
    assert (state["id"], state["state"], state["rolled_back_by"]) == (number, "rolled_back", "health watch")
    assert state["cause"].startswith("errors: ")
    with RawPhone("127.0.0.1", stand.port, tls=False) as recipient:
        recipient.login(number_of(RECIPIENT), device_key(RECIPIENT))
        found: set[int] = set()
        while len(found) < 150:
            _, peer, stream, n, *_ = recipient.expect(verbs.DELIVER)
            found.add(n)
            recipient.send(verbs.ACK, peer, stream, n, n)
    assert found == set(range(1, 151))
    stand.revisions.restore()


def test_a_change_that_raises_outside_of_any_connection_is_undone_before_the_node_ends(stand: Stand) -> None:
    """Effects are carried out for all sessions at once: an exception there would end the node."""
    stand.revisions.restore()
    stand.revisions.fault("router", one_in=100)
    number = stand.admin.ask(("reload", "apply"))["reload"]
    sender = Persistent(stand.port, SENDER, RECIPIENT)
    with RawPhone("127.0.0.1", stand.port, tls=False) as recipient:
        recipient.login(number_of(RECIPIENT), device_key(RECIPIENT))
        for n in range(151, 251):
            sender.send(n)
            _, peer, stream, came, *_ = recipient.expect(verbs.DELIVER)
            assert came == n
            recipient.send(verbs.ACK, peer, stream, n, n)
    sender.close()
    assert sender.repeated == 0
    until = time.monotonic() + GIVE_UP_S
    while _state(stand)["state"] != "rolled_back":
        assert time.monotonic() < until
        time.sleep(0.05)
    assert _state(stand)["id"] == number
    assert "RuntimeError ended a pass" in _state(stand)["cause"]


def test_a_node_that_is_killed_starts_with_the_files_on_disk(tmp_path: Path) -> None:
    with stand_of(Load(idle=2, busy=2, rate=1), tmp_path, Screen()) as stand:
        stand.revisions.revise(1)
        version = stand.admin.ask(("reload", "apply"))["id"]
        stand.node.kill()
        with (
            NodeProcess.start(stand.config, stand.node.directory, environment=stand.revisions.environment),
            Client(Target.find(str(stand.config["node"]["data"]))) as admin,
        ):
            assert admin.ask(("stats", "reload"))["version"] == version
            assert [one["state"] for one in admin.ask(("reload", "history"))] == ["cut_off"]
            assert admin.ask(APPLY)["state"] == "nothing differs"
