"""Orders to the processes of a load and their reports, a line of JSON each: both ends of the pipe.

The first line that a process gets is what it is to be, the others are orders. It ends at the end of its input, so it
can't outlive its coordinator. This module must never know what is ordered.
"""

import gc
import os
import subprocess
import sys
from collections.abc import Callable
from typing import IO, Any, Final, Protocol, TypeVar

import msgspec

from node.wire.errors import WireError
from ops.bench.session import LoadError

STOP_SECONDS_MAX: Final = 10.0
"""How long a process may take to end when its input has."""


class Runs(Protocol):
    """What a process does until it is told to end."""

    def run(self) -> None: ...


class Reason(Protocol):
    """Of a report: why the process gives up; empty: it doesn't."""

    @property
    def reason(self) -> str: ...


Plan = TypeVar("Plan")
Report = TypeVar("Report", bound=Reason)


# ---- in the process --------------------------------------------------------------------------------------


def serve(kind: type[Plan], begin: Callable[[Plan, int, int], Runs], failed: Callable[[str], Any]) -> int:
    """Read what this process is to be, and be it. Returns the exit status.

    Args:
        kind: of the first line.
        begin: what runs, given that and the descriptors of orders and answers.
        failed: the report that says why the process gives up.
    """
    orders, answers = sys.stdin.fileno(), sys.stdout.fileno()
    running = begin(msgspec.json.decode(read_line(orders), type=kind), orders, answers)
    gc.freeze()
    gc.disable()  # nothing here is cyclic but a closed session
    try:
        running.run()
    except (LoadError, WireError) as error:
        write_all(answers, msgspec.json.encode(failed(str(error))) + b"\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def write_all(descriptor: int, data: bytes) -> None:
    """All of it, however long that takes."""
    while data:
        data = data[os.write(descriptor, data) :]


def read_line(descriptor: int) -> bytes:
    """One line, not a byte more: what follows belongs to what runs."""
    line = b""
    while not line.endswith(b"\n") and (byte := os.read(descriptor, 1)):
        line += byte
    return line


# ---- at the coordinator ----------------------------------------------------------------------------------


def send(process: subprocess.Popen[bytes], line: bytes) -> None:
    """One line to a process. If it has ended, `hear` says why."""
    assert process.stdin is not None
    try:
        process.stdin.write(line + b"\n")
        process.stdin.flush()
    except BrokenPipeError:
        return  # the reason is in its last report


def hear(process: subprocess.Popen[bytes], errors: IO[bytes], kind: type[Report]) -> Report:
    """One report. errors: what the process has written to stderr.

    Raises:
        LoadError: it gave up, or ended.
    """
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        errors.seek(0)
        tail = errors.read().decode(errors="replace").strip()[-2000:]
        raise LoadError(f"a load generator ended: {tail or process.wait(STOP_SECONDS_MAX)}")
    report = msgspec.json.decode(line, type=kind)
    if report.reason:
        raise LoadError(report.reason)
    return report


def end(process: subprocess.Popen[bytes]) -> None:
    """Tell it to end; what it says doesn't matter any more."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.close()
    try:
        process.stdin.close()  # it ends at the end of its input
    except BrokenPipeError:
        return


def gone(process: subprocess.Popen[bytes]) -> None:
    """Wait until it has ended, and no longer than it may take."""
    try:
        process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
