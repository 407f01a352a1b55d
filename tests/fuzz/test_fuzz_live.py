"""Mutated frames at a node in this process: nobody else notices, and nothing is logged."""

import time
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from structlog.testing import capture_logs

from node.accounts.settings import AccountsSettings
from node.hub.settings import HubSettings
from node.mail.settings import MailSettings
from tests.fuzz.live import CONFIG, STATES, Surprise, complaints, devices, fuzz
from tests.node.live import LiveNode, live_node

FRAMES = 30_000
SECONDS_MAX = 8.0


def served(folder: Path) -> Any:
    """A node with the real clock and the committer's thread."""
    return live_node(
        folder,
        devices=devices(),
        time=time.monotonic,  # type: ignore[arg-type]  # a node takes any clock
        committer="thread",
        hub=HubSettings(**CONFIG["limits"]),
        mail=MailSettings(**CONFIG["mail"]),
        accounts=AccountsSettings(**CONFIG["registration"]),
    )


async def attack(node: LiveNode, frames: int, seed: int) -> Any:
    return await trio.to_thread.run_sync(partial(fuzz, node.ports["plain"], frames, SECONDS_MAX, seed))


async def test_a_node_under_mutated_frames_serves_the_others_and_has_nothing_to_log(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with served(tmp_path) as node:
            tally = await attack(node, FRAMES, seed=20260102)
            statistics = node.running.statistics()
    assert [entry for entry in logs if entry["log_level"] not in ("info", "debug")] == []
    assert statistics["hub"]["failures"] == 0
    assert statistics["hub"]["accepted"] == tally.connections + 2
    assert tally.messages > 50
    assert set(tally.states) == set(STATES)
    assert {"malformed", "too_large", "unexpected", "login_first", "stream_wrong"} <= set(tally.answers)


async def test_a_node_that_fails_at_a_frame_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("as if by mistake")

    monkeypatch.setattr("node.talk.acking.read", fail)
    with capture_logs() as logs, pytest.RaisesGroup(Surprise, flatten_subgroups=True):
        async with served(tmp_path) as node:
            await attack(node, FRAMES, seed=1)
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["connection_failed"]


def test_what_a_node_should_not_have_logged_is_found() -> None:
    log = "timestamp=1 level=info event=ready\ntimestamp=2 level=error event=connection_failed\n"
    assert len(complaints(log)) == 1
