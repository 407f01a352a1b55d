"""A program that obeys orders line by line: started, asked, measured from outside, always stopped.

Used for both systems of `bench tables`. A line on stdout that begins with `@` is an answer, one JSON object; other
lines are for its log. This module must never know what an order means.
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from ops.bench import process

STOP_SECONDS_MAX: Final = 20.0
_LOG_TAIL: Final = 3_000
_SETPRIV: Final = Path("/usr/bin/setpriv")
_READ_BYTES: Final = 1 << 16


class TableNodeError(Exception):
    """A node of the benchmark ended, answered too late, or refused an order. The text has the end of its log."""


class Obeying:
    """One process. As a context manager it is ended at the end; it also ends at the end of its input."""

    def __init__(self, popen: subprocess.Popen[bytes], name: str, log: Path) -> None:
        self._popen = popen
        self._name = name
        self._log = log
        self._unread = b""

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Self:
        """Start it in `directory`, which is made. It is killed if this process is (prctl(2), PR_SET_PDEATHSIG)."""
        directory.mkdir(parents=True, exist_ok=True)
        bound = [str(_SETPRIV), "--pdeathsig", "KILL", "--"] if _SETPRIV.exists() else []
        log = directory / f"{name}.log"
        with log.open("ab") as errors:
            popen = subprocess.Popen(
                [*bound, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=directory,
                env=environment,
                start_new_session=True,  # Ctrl-C is the benchmark's to handle
            )
        return cls(popen, name, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._popen.pid

    def ask(self, order: str, seconds_max: float) -> dict[str, Any]:
        """Give an order and wait for its answer.

        Raises:
            TableNodeError: it ended, refused, or didn't answer in time.
        """
        self.tell(order)
        return self.answer(seconds_max)

    def tell(self, order: str) -> None:
        """Give an order; `answer` waits for it.

        Raises:
            TableNodeError: it has ended.
        """
        assert self._popen.stdin is not None
        try:
            self._popen.stdin.write(order.encode() + b"\n")
            self._popen.stdin.flush()
        except BrokenPipeError as error:
            raise TableNodeError(f"{self._name} has ended\n{self.log_tail()}") from error

    def answer(self, seconds_max: float) -> dict[str, Any]:
        """The next answer. Raises as `ask`."""
        deadline = time.monotonic() + seconds_max
        while True:
            line = self._line(deadline)
            if not line.startswith(b"@"):
                with self._log.open("ab") as log:
                    log.write(line)
                continue
            fields: dict[str, Any] = json.loads(line[1:])
            if "error" in fields:
                raise TableNodeError(f"{self._name} refused: {fields['error']}\n{self.log_tail()}")
            return fields

    def _line(self, deadline: float) -> bytes:
        assert self._popen.stdout is not None
        descriptor = self._popen.stdout.fileno()
        while b"\n" not in self._unread:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                raise TableNodeError(f"{self._name} did not answer in time\n{self.log_tail()}")
            if not (some := os.read(descriptor, _READ_BYTES)):
                raise TableNodeError(f"{self._name} has ended\n{self.log_tail()}")
            self._unread += some
        line, _, self._unread = self._unread.partition(b"\n")
        return line + b"\n"

    def log_tail(self) -> str:
        """The end of what it has logged."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    def cpu_seconds(self) -> float:
        """CPU time of all its threads and of its living children since the start."""
        return process.family_cpu_seconds(self.pid)

    def stop(self) -> None:
        """End its input, then it if that isn't enough."""
        for pipe in (self._popen.stdin, self._popen.stdout):
            assert pipe is not None
            with suppress(BrokenPipeError):
                pipe.close()
        try:
            self._popen.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
