"""Starts the inspecting process, and takes its answer: bounded in time and size.

This module must never know what is in a draft.
"""

import marshal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import trio

from admin.reload.draft import Draft, from_bytes
from admin.reload.errors import InspectionFailed

OWN: Final = Path(__file__).resolve().parents[2]
"""Where this version is; the inspector's code is the same in both (see `policy`)."""
SECONDS_MAX: Final = 90.0
"""It takes a second or two; where every core is busy several times over, many times as long at its priority."""
STDERR_SHOWN: Final = 500
PROGRAM: Final = "import sys; sys.path[:0] = sys.argv[1:]; from admin.reload.inspector import main; main()"


async def inspect_elsewhere(request: dict[str, Any]) -> Draft:
    """Have a process compile, import and compare; about a second of CPU, at low priority.

    Args:
        request: see `inspector.inspect`.

    Raises:
        InspectionFailed: it was killed, took too long, or gave nonsense.
    """
    command = [sys.executable, "-B", "-W", "ignore", "-c", PROGRAM, str(OWN)]
    with trio.move_on_after(SECONDS_MAX) as limit:
        done = await trio.run_process(
            command,
            stdin=marshal.dumps(request),
            capture_stdout=True,
            capture_stderr=True,
            check=False,
        )
    if limit.cancelled_caught:
        raise InspectionFailed(f"it took more than {SECONDS_MAX:.0f} s")
    return _draft(done)


def _draft(done: subprocess.CompletedProcess[bytes]) -> Draft:
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-STDERR_SHOWN:]
        raise InspectionFailed(f"its process ended with {done.returncode}: {said}")
    try:
        return from_bytes(done.stdout)
    except (ValueError, EOFError, TypeError, KeyError) as error:
        raise InspectionFailed(f"its answer makes no sense: {error!r}") from error
