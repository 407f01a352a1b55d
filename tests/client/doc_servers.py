"""Servers that examples may talk to: the fake node in a thread, or a real node in a process."""

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from anyio.from_thread import start_blocking_portal

from tests.client.fake_server import Serving, make_certificate, serve


class DocServer(Protocol):
    """What an example needs."""

    address: str

    def newest_pin(self) -> str: ...


class _Fake:
    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self.address = serving.address

    def newest_pin(self) -> str:
        return list(self._serving.node.pins.values())[-1]


class _Real:
    def __init__(self, address: str, directory: Path) -> None:
        self._directory = directory
        self.address = address

    def newest_pin(self) -> str:
        deadline = time.monotonic() + 10.0
        while time.monotonic() < deadline:
            text = (self._directory / "out").read_text() + (self._directory / "err").read_text()
            pins: list[str] = re.findall(r"PIN \+\d+ (\d+)", text)
            if len(pins) > self._used:
                self._used = len(pins)
                return pins[-1]
            time.sleep(0.02)
        raise AssertionError("the node printed no PIN")

    _used = 0


@contextmanager
def fake_server(directory: Path) -> Iterator[DocServer]:
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(serve(make_certificate(directory))) as serving,
    ):
        yield _Fake(serving)


@contextmanager
def real_server(directory: Path) -> Iterator[DocServer]:
    """`waystation run` with its defaults, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    (directory / "node.toml").write_text(f"[listen]\nport = {port}\n")
    command = shutil.which("waystation", path=str(Path(sys.executable).parent))
    assert command is not None
    arguments = [command, "run", "--config", "node.toml", "--data", "data"]
    with (directory / "out").open("w") as out, (directory / "err").open("w") as err:
        process = subprocess.Popen(arguments, cwd=directory, stdout=out, stderr=err)
    try:
        deadline = time.monotonic() + 30.0
        while "ready" not in (directory / "out").read_text():
            assert process.poll() is None, (directory / "err").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield _Real(f"127.0.0.1:{port}", directory)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
