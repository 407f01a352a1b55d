"""The half of systemd that a service talks to: a notify socket, a descriptor store, a watchdog, starts with sockets.

As in service.c of systemd: what is stored twice is kept once, a barrier's descriptor is closed when everything before
it has been dealt with, and a service that misses its watchdog is ended with SIGABRT.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
GIVE_UP_S = 30.0
DATAGRAM_BYTES = 65_536
FIRST = 3
HIGH = 100
"""Descriptors above it are nobody's: those to hand over are put there, so that none is in the way of another."""


class ServiceManager:
    """Of one service.

    Attributes:
        said: what came, one mapping for each datagram.
        stored: name → descriptor.
        main: the process that is watched; MAINPID= changes it.
        strict: whether it is ended when it isn't heard of in time. Not at first: on a busy machine a node that is well
            may be late.
    """

    def __init__(self, folder: Path, *, abstract: bool = False, watchdog_s: float = 0.0) -> None:
        self.said: list[dict[str, str]] = []
        self.stored: dict[str, int] = {}
        self.main = 0
        self.strict = False
        self.aborted = 0
        self._asked_watchdog_s = self._watchdog_s = watchdog_s
        self._fed_at: float | None = None
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = str(folder / "notify")
        self.address = f"@waystation-{os.getpid()}{path}"[:100] if abstract else path
        self._socket.bind("\0" + self.address[1:] if abstract else self.address)
        self._end = threading.Event()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        for process in self._processes:
            process.kill()
            process.wait()
        if self.main and self.main not in {one.pid for one in self._processes}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.main, signal.SIGKILL)
        for descriptor in self.stored.values():
            os.close(descriptor)
        self._socket.close()

    # ---- what a service says -------------------------------------------------------------------

    def _run(self) -> None:
        while not self._end.is_set():
            ready, _, _ = select.select([self._socket], [], [], 0.05)
            if ready:
                data, descriptors, _, _ = socket.recv_fds(self._socket, DATAGRAM_BYTES, 16)
                with self._changed:
                    self._heed(data.decode(), descriptors)
                    self._changed.notify_all()
            late = self._watchdog_s and self._fed_at and time.monotonic() - self._fed_at > self._watchdog_s
            if late and self.strict and not self.aborted:
                self.aborted = self.main
                os.kill(self.main, signal.SIGABRT)

    def _heed(self, text: str, descriptors: list[int]) -> None:
        lines = dict(line.split("=", 1) for line in text.splitlines())
        self.said.append(lines)
        if lines.get("WATCHDOG") == "1" or lines.get("READY") == "1":
            self._fed_at = time.monotonic()
        if "WATCHDOG_USEC" in lines:
            self._watchdog_s = int(lines["WATCHDOG_USEC"]) / 1e6
        if "MAINPID" in lines:
            self.main = int(lines["MAINPID"])
        if lines.get("FDSTORE") == "1":
            for descriptor in descriptors:
                self._store(lines.get("FDNAME", "stored"), descriptor)
        elif lines.get("FDSTOREREMOVE") == "1":
            found = self.stored.pop(lines["FDNAME"], None)
            if found is not None:
                os.close(found)
        else:
            for descriptor in descriptors:  # a barrier's
                os.close(descriptor)

    def _store(self, name: str, descriptor: int) -> None:
        if any(os.path.sameopenfile(descriptor, one) for one in self.stored.values()):
            os.close(descriptor)
        else:
            assert name not in self.stored
            self.stored[name] = descriptor

    def wait(self, wanted: Callable[[dict[str, str]], Any], after: int = 0) -> dict[str, str]:
        """The first datagram that fits, of those from number `after` on."""
        until = time.monotonic() + GIVE_UP_S
        with self._changed:
            while True:
                found = next((one for one in self.said[after:] if wanted(one)), None)
                if found is not None:
                    return found
                left = until - time.monotonic()
                assert left > 0, f"it never came; what came: {self.said}; {self.log()[-2000:]}"
                self._changed.wait(left)

    def count(self, name: str) -> int:
        """Datagrams with such a line."""
        with self._changed:
            return sum(name in one for one in self.said)

    # ---- services ------------------------------------------------------------------------------

    def start(
        self,
        command: Sequence[str | Path],
        sockets: Sequence[tuple[str, int]] = (),
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a service, with what is stored and these sockets, and wait until it says that it is ready."""
        begun = len(self.said)
        self._fed_at = None  # the watchdog begins with READY
        self._watchdog_s = self._asked_watchdog_s
        names, sources = [], []
        for name, descriptor in (*sockets, *self.stored.items()):
            names.append(name)
            sources.append(_above(descriptor))
        moves = " ".join(f"{FIRST + place}<&{one} {one}<&-" for place, one in enumerate(sources))
        script = f'export LISTEN_PID=$$; {f"exec {moves};" if moves else ""} exec "$@"'
        listen = {"LISTEN_FDS": str(len(names)), "LISTEN_FDNAMES": ":".join(names)} if names else {}
        watchdog = {"WATCHDOG_USEC": str(int(self._watchdog_s * 1e6))} if self._watchdog_s else {}
        with (self._folder / "service.log").open("ab") as log:
            process = subprocess.Popen(
                ["/bin/bash", "-c", script, "bash", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    "NOTIFY_SOCKET": self.address,
                    **listen,
                    **watchdog,
                    **(environment or {}),
                },
                pass_fds=sources,
            )
        for one in sources:
            os.close(one)
        self._processes.append(process)
        self.main = process.pid
        self.wait(lambda said: said.get("READY") == "1", begun)
        return process

    def journal(self) -> dict[str, str]:
        """What makes a service take its log for systemd's journal."""
        path = self._folder / "service.log"
        path.touch()
        found = path.stat()
        return {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}

    def log(self) -> str:
        """What services have written."""
        path = self._folder / "service.log"
        return path.read_text(errors="replace") if path.exists() else ""


def _above(descriptor: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD, HIGH)


def node_command(config: Path, *, module: str = "ops.command") -> list[str]:
    """What starts a node."""
    return [sys.executable, "-m", module, "run", "--config", str(config)]
