"""Knobs on a node that serves: typed, bounded, for a time or for good, who did it, and why others take a restart."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import attrs
import pytest
import structlog
import trio

from admin.channel.errors import Refused
from admin.knobs.board import Knobs
from admin.knobs.catalogue import FIXED, KNOBS, reason
from admin.knobs.loglevel import LogLevel
from admin.knobs.sections import SECTIONS as LIVE
from node.wire import errors, verbs
from ops.config import SECTIONS
from tests.ops.operated import ALICE, BOB, Operated, operated


def options_of(name: str, cls: type[Any]) -> Iterator[str]:
    for key, kind in get_type_hints(cls).items():
        path = f"{name}.{key}"
        if attrs.has(kind) and path not in FIXED:
            yield from options_of(path, kind)
        else:
            yield path


def every_option() -> list[str]:
    return [option for name, cls in SECTIONS.items() for option in options_of(name, cls)]


@pytest.mark.parametrize("name", every_option())
def test_every_option_is_a_knob_or_says_why_not(name: str) -> None:
    if name in KNOBS:
        assert name not in FIXED
        assert name.rpartition(".")[0] in LIVE
    else:
        assert reason(name)


def test_no_knob_is_named_that_is_no_option() -> None:
    names = set(every_option())
    assert set(KNOBS) <= names
    assert {name for name in FIXED if not name.endswith(".*")} <= names
    assert {name.partition(".")[0] for name in FIXED} <= set(SECTIONS)


async def test_every_knob_can_be_set_to_what_it_is(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        board = node.operating.services[Knobs]
        for name in KNOBS:
            if not board.has(name):
                assert name.startswith("cluster."), "a node that stands alone has no such part"
                continue
            value, configured, turned = board.read(name)
            assert value == configured
            assert turned is None
            word = str(value).lower() if isinstance(value, bool) else str(value)
            assert await board.turn(name, word, "test", 60.0) == value
            assert type(board.read(name)[0]) is type(configured)


async def held(node: Operated, name: str) -> object:
    return (await node.ask(f"knob show {name}"))["value"]


async def test_for_a_time_it_holds_so_long_and_says_who(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        row = await node.ask("knob set mail.sync_delay_ms 25 --for 10m")
        assert (row["value"], row["before"], row["by"]) == (25, 10, "local")
        assert node.node.mail.settings.sync_delay_ms == 25
        assert [one["knob"] for one in await node.ask("knob list --turned")] == ["mail.sync_delay_ms"]
        node.node.time.now += 599
        board = node.operating.services[Knobs]
        board._changed.set()
        await node.node.turn()
        assert await held(node, "mail.sync_delay_ms") == 25
        node.node.time.now += 1
        board._changed.set()
        with trio.fail_after(10):
            while board.statistics()["ended"] < 1:  # noqa: ASYNC110 - another task counts
                await trio.sleep(0.01)
        assert node.node.mail.settings.sync_delay_ms == 10
        assert await node.ask("knob list --turned") == []


async def test_for_good_it_holds_after_a_restart_until_reset(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.ask("knob set session.agent 'a node'")
        await node.ask("knob set limits.turn_ms_max 2.5 --for 1h")
        assert node.node.running.hub.settings.turn_ms_max == 2.5
    async with operated(tmp_path) as node:
        assert await held(node, "limits.turn_ms_max") == 5.0
        row = await node.ask("knob show session.agent")
        assert (row["value"], row["configured"], row["by"], row["until"]) == (
            "a node",
            "waystation",
            "local",
            "for good",
        )
        phone = await node.node.connect()
        assert (await phone.hello())[-1] == "a node"
        assert (await node.ask("knob reset session.agent"))["value"] == "waystation"
    async with operated(tmp_path) as node:
        assert await held(node, "session.agent") == "waystation"


async def test_a_value_that_cannot_be_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        for line, said in (
            ("mail.sync_delay_ms 1.5", "takes a whole number"),
            ("mail.sync_delay_ms -- -1", "choose a value from 0 to 10000"),
            ("mail.send_rate fast", "takes a number"),
            ("mail.send_rate nan", "choose a value from 0.001"),
            ("mail.tell_unknown yes", "is true or false"),
            ("limits.outbox_low_bytes 300000", "must hold"),
            ("mail.window 5", "takes a restart: phones are told of it"),
            ("listen.port 5", "takes a restart: the listening sockets are opened"),
            ("store.linger_ms 5", "takes a restart: the tables are opened"),
            ("cluster.listen 10.0.0.1:75", "takes a restart: its links to other nodes are bound to it"),
            ("mail.nothing 5", "no knob of that name"),
        ):
            with pytest.raises(Refused, match=said):
                await node.ask(f"knob set {line}")
        assert await node.ask("knob list --turned") == []


async def test_what_cannot_be_kept_is_not_changed(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        (tmp_path / "admin" / "knobs.json.partial").mkdir()
        with pytest.raises(Refused, match="nothing was changed"):
            await node.ask("knob set mail.sync_delay_ms 25")
        assert node.node.mail.settings.sync_delay_ms == 10


@pytest.mark.parametrize(
    "text", ["{", json.dumps({"mail": {"sync_delay_ms": {"value": -5, "by": "x", "at": 0}}})]
)
async def test_what_was_kept_and_cannot_hold_is_left_out_and_logged(tmp_path: Path, text: str) -> None:
    (tmp_path / "admin").mkdir()
    (tmp_path / "admin" / "knobs.json").write_text(text)
    with structlog.testing.capture_logs() as logs:
        async with operated(tmp_path) as node:
            assert await held(node, "mail.sync_delay_ms") == 10
    assert [one["event"] for one in logs if one["log_level"] == "error"][:1] in (
        ["kept_knobs_not_read"],
        ["kept_knobs_left_out"],
    )


async def test_registration_closes_and_opens(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.ask("knob set registration.open false")
        phone = await node.node.greeted()
        await phone.send((verbs.PIN, 15551230009))
        assert (await phone.next())[:2] == (verbs.ERROR, errors.REGISTRATION_CLOSED)
        await node.ask("knob set registration.open true")
        await phone.send((verbs.PIN, 15551230009))
        assert (await phone.next())[0] == verbs.PIN


async def test_a_send_rate_holds_for_those_who_are_connected(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        bob = await node.node.login(BOB)
        await node.ask("knob set mail.send_burst 1 --for 1h")
        await node.ask("knob set mail.send_rate 0.01 --for 1h")
        await bob.send(BOB.send(ALICE, 1), BOB.send(ALICE, 2))
        said = {(await bob.next())[0], (await bob.next())[0]}
        assert said == {verbs.ACCEPTED, verbs.BUSY}


async def test_the_log_level_is_a_knob_and_survives_a_restart(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        told = await node.ask("log level debug --for 1m")
        assert (told["level"], told["before"]) == ("debug", "info")
        assert told["until"].startswith("2027-01-15T08:1")
        assert (await node.ask("log level error"))["until"] == "for good"
        assert (await node.ask("knob show node.log"))["configured"] == "info"
    async with operated(tmp_path) as node:
        assert node.operating.services[LogLevel].settings.log == "error"
        with pytest.raises(Refused, match="choose one of debug, info, warning, error"):
            await node.ask("knob set node.log loud")
        await node.ask("knob reset node.log")
        assert (await node.ask("log level"))["level"] == "info"
