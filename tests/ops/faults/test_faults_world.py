"""The world of fault tests: the cable really is cut, the disk really is full."""

from __future__ import annotations

import errno
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from ops.faults.disk import SmallDisk
from ops.faults.network import NODE_ADDRESS, Network
from ops.faults.unavailable import UnavailableError

ECHO = f"""
import socket
server = socket.create_server(("{NODE_ADDRESS}", 7))
print("ready", flush=True)
peer = server.accept()[0]
peer.settimeout(0.5)
while True:
    try:
        data = peer.recv(100)
    except TimeoutError:
        print("silent", flush=True)
        continue
    print(data.decode() or "closed", flush=True)
    if not data:
        break
    peer.sendall(data)
"""
SAY = f"""
import socket, sys
phone = socket.create_connection(("{NODE_ADDRESS}", 7))
for line in sys.stdin:
    phone.sendall(line.strip().encode())
    print(phone.recv(100).decode(), flush=True)
"""


def test_a_client_behind_a_cut_cable_vanishes_without_a_fin() -> None:
    with ExitStack() as stack:
        try:
            network = stack.enter_context(Network())
        except UnavailableError as error:
            pytest.skip(str(error))
        pipe = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        echo = subprocess.Popen([*network.node, sys.executable, "-c", ECHO], **pipe)  # type: ignore[call-overload]
        assert echo.stdout.readline() == "ready\n"
        say = subprocess.Popen([*network.clients, sys.executable, "-c", SAY], **pipe)  # type: ignore[call-overload]
        say.stdin.write("one\n")
        say.stdin.flush()
        assert say.stdout.readline() == "one\n"
        assert echo.stdout.readline() == "one\n"
        network.cut()
        say.kill()
        say.communicate()
        assert echo.stdout.readline() == "silent\n"
        assert echo.stdout.readline() == "silent\n"  # the client is dead, and the node's kernel wasn't told
        echo.kill()
        echo.communicate()


def test_a_small_disk_is_full_and_free_again(tmp_path: Path) -> None:
    with ExitStack() as stack:
        try:
            disk = stack.enter_context(SmallDisk(tmp_path / "disk", 1 << 20))
        except UnavailableError as error:
            pytest.skip(str(error))
        (tmp_path / "disk" / "a").write_bytes(bytes(100_000))
        disk.fill()
        with pytest.raises(OSError, match="No space left") as caught:
            (tmp_path / "disk" / "b").write_bytes(bytes(10_000))
        assert caught.value.errno == errno.ENOSPC
        disk.free()
        (tmp_path / "disk" / "b").write_bytes(bytes(10_000))
    assert not (tmp_path / "disk" / "a").exists()
