"""A child process that takes orders: a line of JSON in, a line of JSON back. For workers and hostile clients.

It must never wait without a bound.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

_ROOT: Final = Path(__file__).resolve().parents[2]
_TAIL: Final = 2000
_ANSWER_MAX: Final = 1 << 20


class ChildError(Exception):
    """The child ended, or did not answer. The text has the end of its log."""


class Child:
    """One process. Its standard error goes to `log`."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = log.stem
        self._log = log
        self._buffer = b""
        path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        with log.open("ab") as errors:
            self._process = subprocess.Popen(  # noqa: S603
                ["setpriv", "--pdeathsig", "KILL", "--", *command],  # noqa: S607
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": path, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def tell(self, order: str) -> None:
        """Say a line.

        Raises:
            ChildError: nobody is there.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(order.encode() + b"\n")
            self._process.stdin.flush()
        except OSError as error:
            raise ChildError(f"{error}\n{self.log_tail()}") from error

    def ask(self, order: str, seconds_max: float = 10.0) -> dict[str, Any]:
        """Say a line and wait for the answer.

        Raises:
            ChildError: none came.
        """
        self.tell(order)
        answer: dict[str, Any] = json.loads(self._line(seconds_max))
        return answer

    def end(self, seconds_max: float = 15.0) -> int:
        """Close its standard input and wait for it to end; kill it if it won't. The exit code."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            return self._process.wait(seconds_max)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ChildError(f"it did not end in {seconds_max} s\n{self.log_tail()}") from None
        finally:
            self._close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()
        self._close()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def log_tail(self) -> str:
        return self._log.read_text(errors="replace")[-_TAIL:]

    def _line(self, seconds_max: float) -> bytes:
        assert self._process.stdout is not None
        end = time.monotonic() + seconds_max
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([descriptor], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise ChildError(f"no answer in {seconds_max} s\n{self.log_tail()}")
            data = os.read(descriptor, 65_536)
            if not data:
                raise ChildError(f"it ended with code {self._process.wait()}\n{self.log_tail()}")
            self._buffer += data
            if len(self._buffer) > _ANSWER_MAX:
                raise ChildError("its answer is too long")
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line

    def _close(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
