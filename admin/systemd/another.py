"""A process of the service that does nothing, for as long as it is needed.

This module must never know what for.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

COMMAND: Final = ("/bin/sh", "-c", "read -r nothing; exit 1")
"""Ends with its standard input, so at the latest with this process; by a failure, for it is never meant to be alone."""


@contextmanager
def another_process() -> Iterator[int]:
    """Its id. It is gone at the end of the block."""
    process = subprocess.Popen(  # noqa: S603 - a constant
        COMMAND, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process.pid
    finally:
        process.kill()
        process.communicate()
