"""Registration without a telephone: PINs read from where the node's `log` gateway prints them.

It must never guess: a PIN that was printed before the request is another's.
"""

from __future__ import annotations

import re
from pathlib import Path

import anyio

_POLL_SECONDS = 0.02


def mark(output: Path) -> int:
    """Where the output ends now."""
    return output.stat().st_size if output.exists() else 0


def _since(output: Path, after: int) -> bytes:
    return output.read_bytes()[after:] if output.exists() else b""


async def wait_for_pin(output: Path, user: int, after: int, seconds_max: float = 30.0) -> str:
    """The newest PIN for this user printed after a mark.

    Raises:
        TimeoutError: none came.
    """
    pattern = re.compile(rb"^PIN \+%d (\d+) " % user, re.MULTILINE)
    with anyio.fail_after(seconds_max):
        while True:
            found = pattern.findall(_since(output, after))
            if found:
                pin: bytes = found[-1]
                return pin.decode()
            await anyio.sleep(_POLL_SECONDS)
