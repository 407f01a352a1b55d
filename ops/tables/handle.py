"""A process that takes orders, from outside: started, asked many things at once, stopped, killed.

It must never wait for an answer of a process that is gone: `GoneError` says so, and that nothing is known of what
was asked.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import trio

from ops.bench import process

ROOT: Final = Path(__file__).resolve().parents[2]
READY_S_MAX: Final = 60.0
_READ_BYTES: Final = 1 << 16
_TAIL: Final = 3_000


class GoneError(Exception):
    """The process ended, or is being replaced: whether what was asked happened isn't known."""


class MemberError(Exception):
    """It doesn't start, or answers in a way that it mustn't. The text has the end of its log."""


class Handle:
    """One life of one process. `answer` is awaited by as many tasks as like to ask."""

    def __init__(self, popen: subprocess.Popen[bytes], log: Path) -> None:
        assert popen.stdin is not None
        assert popen.stdout is not None
        self._popen = popen
        self._log = log
        self._number = 0
        self._asked: dict[int, trio.MemorySendChannel[dict[str, Any]]] = {}
        self._orders = trio.lowlevel.FdStream(os.dup(popen.stdin.fileno()))
        self._answers = trio.lowlevel.FdStream(os.dup(popen.stdout.fileno()))
        popen.stdin.close()
        popen.stdout.close()
        self._sending = trio.Lock()
        self.ready = trio.Event()
        self.gone = trio.Event()

    @classmethod
    def start(
        cls,
        nursery: trio.Nursery,
        assignment: Path,
        log: Path,
        *,
        prefix: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> Handle:
        """Start a member; `wait_ready` says when it takes orders. Killed if this process is."""
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        bound = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with log.open("ab") as errors:
            # Not by trio: the child would die with the thread that trio starts it from.
            popen = subprocess.Popen(  # noqa: S603
                [*bound, *prefix, sys.executable, "-m", "ops.tables.member", str(assignment)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": path, **(environment or {})},
                start_new_session=True,
            )
        handle = cls(popen, log)
        nursery.start_soon(handle._hear)
        return handle

    @property
    def pid(self) -> int:
        return self._popen.pid

    async def wait_ready(self) -> None:
        """Raises MemberError: it ended, or takes too long."""
        with trio.move_on_after(READY_S_MAX):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._first_of, nursery.cancel_scope, self.ready)
                nursery.start_soon(self._first_of, nursery.cancel_scope, self.gone)
        if not self.ready.is_set() or self.gone.is_set():
            raise MemberError(f"a member didn't start\n{self.log_tail()}")

    async def ask(self, do: str, **what: Any) -> dict[str, Any]:
        """One order and its answer; `error` in it is what was raised there.

        Raises:
            GoneError
        """
        self._number += 1
        number = self._number
        send, receive = trio.open_memory_channel[dict[str, Any]](1)
        self._asked[number] = send
        line = json.dumps({"id": number, "do": do, **what}).encode() + b"\n"
        try:
            if self.gone.is_set():
                raise GoneError("it is gone")
            try:
                async with self._sending:
                    await self._orders.send_all(line)
                return await receive.receive()
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.EndOfChannel):
                raise GoneError("it ended before it answered") from None
        finally:
            self._asked.pop(number, None)
            send.close()

    async def must(self, do: str, **what: Any) -> dict[str, Any]:
        """The same, where an error is a failure of the run.

        Raises:
            GoneError, MemberError
        """
        answer = await self.ask(do, **what)
        if "error" in answer:
            raise MemberError(f"{do}: {answer['error']}: {answer['text']}\n{self.log_tail()}")
        return answer

    def signal(self, number: int) -> None:
        self._popen.send_signal(number)

    async def kill(self) -> None:
        """End it at once."""
        self._popen.kill()
        await self._end()

    async def end(self) -> int:
        """Close its input and wait for it to end by itself; its exit code."""
        await self._orders.aclose()
        with trio.move_on_after(READY_S_MAX):
            await self.gone.wait()
        if not self.gone.is_set():
            self._popen.kill()
        await self._end()
        return self._popen.returncode

    async def _end(self) -> None:
        with trio.CancelScope(shield=True):
            await self.gone.wait()
            await trio.to_thread.run_sync(self._popen.wait)
            await self._orders.aclose()

    def memory(self) -> process.Memory:
        """Resident memory now, told apart by kind."""
        return process.memory(self.pid)

    def peak_bytes(self) -> int:
        """The most resident memory since the start, mapped files included."""
        return process.peak_rss_bytes(self.pid)

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-_TAIL:]

    async def _first_of(self, scope: trio.CancelScope, event: trio.Event) -> None:
        await event.wait()
        scope.cancel()

    async def _hear(self) -> None:
        rest = b""
        try:
            with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                while data := await self._answers.receive_some(_READ_BYTES):
                    *lines, rest = (rest + data).split(b"\n")
                    for line in lines:
                        self._heard(json.loads(line))
        finally:
            self.gone.set()
            for send in self._asked.values():
                send.close()
            with trio.CancelScope(shield=True):
                await self._answers.aclose()

    def _heard(self, answer: dict[str, Any]) -> None:
        if answer["id"] == 0:
            self.ready.set()
        elif (send := self._asked.get(answer["id"])) is not None:
            send.send_nowait(answer)


STOP: Final = signal.SIGSTOP
GO_ON: Final = signal.SIGCONT
