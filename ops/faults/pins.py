"""The SMS gateway of a run: PINs read from where the node's `log` gateway prints them. Of several nodes, each of which
prints to a file of its own in one folder, any may have printed it.

It must never guess: a PIN that was printed before the request is another's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import anyio

_POLL_SECONDS = 0.02
OUTPUTS = "*/node.out"
"""Of a folder of nodes."""
Mark = Mapping[Path, int]
"""File → where it ended."""


def _files(output: Path) -> list[Path]:
    return sorted(output.glob(OUTPUTS)) if output.is_dir() else [output]


def mark(output: Path) -> Mark:
    """Where the output ends now."""
    return {file: file.stat().st_size for file in _files(output) if file.exists()}


def _since(output: Path, after: Mark) -> bytes:
    found = []
    for file in _files(output):
        data = file.read_bytes() if file.exists() else b""
        begin = after.get(file, 0)
        found.append(data[begin:] if begin <= len(data) else data)  # a node that was started again began anew
    return b"\n".join(found)


async def wait_for_pin(output: Path, user: int, after: Mark, seconds_max: float = 30.0) -> str:
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
