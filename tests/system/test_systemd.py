"""A node as a service: what it tells systemd, what it is handed, and that a stuck loop is noticed."""

from __future__ import annotations

import os
import re
import signal
import socket
import time
from pathlib import Path

import pytest

from admin.channel.client import Client, Target
from node.wire import errors, verbs
from ops.bench.node_process import free_ports, toml
from tests.node.blocking import Wire
from tests.system.service_manager import GIVE_UP_S, ServiceManager, node_command
from tests.system.stuck_node import STUCK, TOKEN

WATCHDOG_S = 2.0


@pytest.fixture
def ports() -> tuple[int, int]:
    public, plain = free_ports(2)
    return public, plain


@pytest.fixture
def config(tmp_path: Path, ports: tuple[int, int]) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(toml({"listen": {"port": ports[0], "plain_port": ports[1]}}))
    return path


def test_a_node_says_how_it_is_and_its_ports_outlive_it(
    tmp_path: Path, config: Path, ports: tuple[int, int]
) -> None:
    with ServiceManager(tmp_path, watchdog_s=WATCHDOG_S) as manager:
        first = manager.start(node_command(config))
        ready = manager.wait(lambda said: said.get("READY"))
        assert ready["MAINPID"] == str(first.pid)
        manager.wait(lambda said: said.get("STATUS") == "serving 0 sessions on 0 connections")
        manager.wait(lambda _: sum("WATCHDOG" in one for one in manager.said) >= 3)
        assert sorted(manager.stored) == ["stored-plain", "stored-public"]
        first.send_signal(signal.SIGKILL)
        first.wait()
        # Nobody serves, and still there is a port: who connects now is answered by the next node.
        with Wire(ports[1]) as phone:
            seen = len(manager.said)
            second = manager.start(node_command(config))
            phone.hello()
            assert sorted(manager.stored) == ["stored-plain", "stored-public"]
            assert not any("FDSTORE" in one for one in manager.said[seen:]), "they are kept already"
            second.send_signal(signal.SIGTERM)
            assert phone.next()[:2] == (verbs.BYE, errors.SHUTTING_DOWN)
        manager.wait(lambda said: said.get("STOPPING") == "1")
        assert second.wait(GIVE_UP_S) == 0
        # Another port is asked for now: what is kept of the old one is let go of, and systemd is told.
        moved = free_ports(3)[2]
        config.write_text(toml({"listen": {"port": moved, "plain_port": ports[1]}}))
        third = manager.start(node_command(config))
        assert _port_of(manager.stored["stored-public"]) == moved
        with pytest.raises(ConnectionRefusedError):
            Wire(ports[0])
        third.send_signal(signal.SIGTERM)
        assert third.wait(GIVE_UP_S) == 0


def test_a_socket_unit_opens_the_port_and_the_node_listens_on_it(
    tmp_path: Path, config: Path, ports: tuple[int, int]
) -> None:
    """Whatever its address is: it is systemd's to choose. And the notify socket may be an abstract one."""
    with (
        ServiceManager(tmp_path, abstract=True) as manager,
        socket.create_server(("127.0.0.1", 0)) as plain,
        Wire(plain.getsockname()[1]) as phone,
    ):
        node = manager.start(node_command(config), sockets=[("plain", plain.fileno())])
        phone.hello()
        with pytest.raises(ConnectionRefusedError):
            Wire(ports[1])
        assert list(manager.stored) == ["stored-public"], "the unit keeps its own"
        assert manager.count("WATCHDOG") == 0, "nobody asked for it"
        node.send_signal(signal.SIGTERM)
        assert node.wait(GIVE_UP_S) == 0


def test_a_stuck_loop_feeds_no_watchdog_and_its_end_says_where_it_stood(
    tmp_path: Path, config: Path, ports: tuple[int, int]
) -> None:
    with ServiceManager(tmp_path, watchdog_s=WATCHDOG_S) as manager:
        node = manager.start(node_command(config, module="tests.system.stuck_node"))
        with Wire(ports[1]) as phone:
            phone.hello()
            phone.send((verbs.PING, False, 1))
            assert phone.next() == (verbs.PING, True, 1)
            fed = manager.count("WATCHDOG")
            manager.wait(lambda _: sum("WATCHDOG" in one for one in manager.said) > fed)
            phone.send((verbs.PING, False, TOKEN))
            while STUCK not in manager.log():
                time.sleep(0.01)
            manager.strict = True
            fed = manager.count("WATCHDOG")
            assert node.wait(GIVE_UP_S) == -signal.SIGABRT
            assert manager.count("WATCHDOG") - fed <= 1, "the last one may have been on its way"
            manager.strict = False
        assert manager.aborted == node.pid
        assert "stuck_in_a_ping" in manager.log(), "the end of its log says where the loop stood"
        manager.start(node_command(config))
        with Wire(ports[1]) as phone:
            phone.hello()


def test_after_an_upgrade_systemd_knows_the_new_process_and_it_feeds_the_watchdog(
    tmp_path: Path, config: Path, ports: tuple[int, int]
) -> None:
    (scraped,) = free_ports(4)[3:]
    config.write_text(f"{config.read_text()}\n[statistics]\nprometheus_port = {scraped}\n")
    with ServiceManager(tmp_path, watchdog_s=10.0) as manager:
        first = manager.start(node_command(config), environment=manager.journal())
        with Wire(ports[1]) as phone, Client(Target.find(str(tmp_path / "data"))) as admin:
            phone.hello()
            seen = len(manager.said)
            done = admin.ask(("upgrade",))
            assert done["connections"] == 1
            begun = manager.wait(lambda said: "RELOADING" in said, seen)
            assert int(begun["MONOTONIC_USEC"]) > 0
            assert begun["WATCHDOG_USEC"] == "120000000", "there may be no feed for a while"
            manager.wait(lambda said: said.get("MAINPID") == str(done["pid"]) and "READY" not in said, seen)
            ready = manager.wait(lambda said: said.get("READY") == "1", seen)
            assert (ready["MAINPID"], ready["WATCHDOG_USEC"]) == (str(done["pid"]), "10000000")
            assert first.wait(GIVE_UP_S) == 0
            fed = len(manager.said)
            manager.wait(lambda said: said.get("WATCHDOG") == "1", fed)
            assert sorted(manager.stored) == ["stored-plain", "stored-public"]
            assert manager.count("FDSTORE") == 2, "the sockets are the same"
            phone.send((verbs.PING, False, 5))
            assert phone.next() == (verbs.PING, True, 5)
            socket.create_connection(("127.0.0.1", scraped), GIVE_UP_S).close()
            os.kill(manager.main, signal.SIGTERM)
            assert phone.next()[:2] == (verbs.BYE, errors.SHUTTING_DOWN)
        manager.wait(lambda said: said.get("STOPPING") == "1", fed)
        lines = [line for line in manager.log().splitlines() if "event=" in line]
        assert sum("event=ready" in line for line in lines) == 2, "one of each process"
        assert all(re.match(r"<[3-7]>event=", line) for line in lines), "as the journal wants them"


def _port_of(descriptor: int) -> int:
    with socket.socket(fileno=socket.dup(descriptor)) as found:
        port: int = found.getsockname()[1]
        return port
