"""A node's process is replaced under load: no plain connection is dropped, nothing is lost, the port never closes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from admin.channel.client import Client, Target
from admin.channel.errors import ChannelError, Refused
from node.wire import errors, verbs
from ops.bench.identities import device_key, number_of, stream_of
from ops.bench.node_process import NodeProcess, free_ports
from ops.bench.reloads import Load, Stand, all_arrived, stand_of
from ops.bench.screen import Screen
from ops.bench.upgrades import UPGRADE, Connecting, ask, ended_afterwards, upgraded
from ops.faults.raw import RawPhone

IDLE, BUSY, SPARE = 150, 50, 2
SENDER, RECIPIENT = IDLE + BUSY, IDLE + BUSY + 1


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("upgrade")
    load = Load(idle=IDLE, busy=BUSY, rate=300)
    with stand_of(load, folder, Screen(), spare=SPARE) as made, ended_afterwards(made):
        yield made


def pid_of(stand: Stand) -> int:
    pid: int = ask(stand, "info")["pid"]
    return pid


def edited(stand: Stand, name: str, before: str, after: str) -> None:
    path = stand.revisions.folder / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


@pytest.fixture
def restored(stand: Stand) -> Iterator[None]:
    """What a test does to the code on disk is undone."""
    kept = {
        path: path.read_text()
        for path in (stand.revisions.folder / name for name in ("node/talk.py", "node/alone.py"))
    }
    yield
    for path, text in kept.items():
        path.write_text(text)


def test_a_process_is_replaced_and_two_hundred_plain_sessions_notice_nothing(stand: Stand) -> None:
    before = pid_of(stand)
    stand.busy.begin()
    with (
        Connecting(stand.port) as port,
        RawPhone("127.0.0.1", stand.config["listen"]["port"], seconds_max=30) as encrypted,
    ):
        encrypted.login(number_of(SENDER), device_key(SENDER))
        pids = {before}
        for sent_away in (1, 0):
            stand.busy.wait(lambda counts: counts.delivered > 100, lambda _: None, 30, "messages")
            done = upgraded(stand)
            # those who only connect come and go, and one of them may be there just then
            assert IDLE + BUSY <= done["connections"] <= IDLE + BUSY + 2
            assert done["sent_away"] == sent_away
            pids.add(done["pid"])
        assert encrypted.expect(verbs.BYE)[1] == errors.SHUTTING_DOWN
        stand.busy.wait(lambda counts: counts.delivered > 200, lambda _: None, 30, "messages")
        connected = port.connected
    assert len(pids) == 3
    assert (port.refused, connected > 0) == (0, True)
    all_arrived(stand)  # each once, in order, and no session was closed
    assert stand.busy.counts().disordered == 0
    hub = ask(stand, "stats", "hub")
    assert hub["connections"] == IDLE + BUSY
    assert hub["failures"] == 0
    assert ask(stand, "stats", "sessions") == IDLE + BUSY


@pytest.mark.usefixtures("restored")
def test_bad_code_is_refused_with_its_reason_before_anything_is_touched(stand: Stand) -> None:
    before = pid_of(stand)
    edited(stand, "node/talk.py", "def ack(", "def ack(:")
    with pytest.raises(Refused, match="SyntaxError"):
        ask(stand, *UPGRADE)
    with pytest.raises(Refused, match=r"/nowhere/waystation can't be started"):
        ask(stand, "upgrade", "/nowhere/waystation")
    with pytest.raises(Refused, match="absolute path"):
        ask(stand, "upgrade", "waystation")
    with pytest.raises(Refused, match="ended with code 0"):
        ask(stand, "upgrade", "/bin/true")
    assert pid_of(stand) == before
    assert ask(stand, "stats", "upgrade")["failed"] == 3
    talk(stand, 1)


@pytest.mark.usefixtures("restored")
def test_code_that_fails_after_the_node_has_ended_leaves_the_old_process_serving(stand: Stand) -> None:
    """The store is closed by then, and everything taken out: it is opened again, and everything put in. What was
    reloaded runs on, is known to, and can be taken back; what is planted on disk is known not to run."""
    before = pid_of(stand)
    stand.busy.begin()
    edited(stand, "node/talk.py", "def ack(", "def never_asked() -> None: ...\n\n\ndef ack(")
    reloaded = ask(stand, "reload", "apply", "--watch", "1h")["reload"]
    edited(
        stand, "node/alone.py", "            world.begin(parts)", "            raise RuntimeError('planted')"
    )
    with (
        Connecting(stand.port) as port,
        RawPhone("127.0.0.1", stand.port, tls=False) as phone,
    ):
        phone.hello()
        with pytest.raises(Refused, match="RuntimeError: planted"):
            ask(stand, *UPGRADE)
        phone.send(verbs.PING, False, 7)
        assert phone.expect(verbs.PING)[2] == 7
        while port.connected < 10:
            pass
    assert port.refused == 0
    talk(stand, 2)
    all_arrived(stand)
    assert pid_of(stand) == before
    assert ask(stand, "stats", "hub")["failures"] == 0
    plan = ask(stand, "reload", "plan")
    assert {one["module"] for one in (*plan["modules"], *plan["refused"])} == {"node.alone"}
    assert ask(stand, "reload", "history", "--last", "1")[0]["state"] == "watched"
    assert ask(stand, "reload", "rollback")["reload"] == reloaded
    talk(stand, 3)


def test_a_node_that_is_to_stop_while_its_successor_is_looked_at_stops(tmp_path: Path) -> None:
    slow = tmp_path / "slow"
    slow.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 1000\n")
    slow.chmod(0o755)
    public, plain = free_ports(2)
    with NodeProcess.start({"listen": {"port": public, "plain_port": plain}}, tmp_path / "node") as node:

        def ask_for_it() -> None:
            with Client(Target.find(str(tmp_path / "node" / "data"))) as admin, pytest.raises(ChannelError):
                admin.ask(("upgrade", str(slow)))

        asking = threading.Thread(target=ask_for_it)
        asking.start()
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().endswith("\n"):
            time.sleep(0.01)
        assert node.stop() == 0
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)
        asking.join()


def talk(stand: Stand, n: int) -> None:
    """Two who weren't there before talk to one another."""
    with (
        RawPhone("127.0.0.1", stand.port, tls=False) as sender,
        RawPhone("127.0.0.1", stand.port, tls=False) as recipient,
    ):
        sender.login(number_of(SENDER), device_key(SENDER))
        recipient.login(number_of(RECIPIENT), device_key(RECIPIENT))
        sender.send(verbs.SEND, number_of(RECIPIENT), stream_of(SENDER), n, n, b"body")
        frame: Any = recipient.expect(verbs.DELIVER)
        assert frame[3] == n
        recipient.send(verbs.ACK, frame[1], frame[2], n, n)
        assert sender.expect(verbs.ACCEPTED)


def test_a_missing_configuration_is_told_and_the_node_serves_on(stand: Stand) -> None:
    config = stand.node.directory / "node.toml"
    text = config.read_text()
    config.write_text(f"{text}\n[nowhere]\nkey = 1\n")
    try:
        with pytest.raises(Refused, match=r"there is no section \[nowhere\]"):
            ask(stand, *UPGRADE)
    finally:
        config.write_text(text)
