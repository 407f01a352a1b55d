"""The boundary between named errors and the person at the terminal: what has a remedy is told without a traceback."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def told(*kinds: type[Exception]) -> Iterator[None]:
    """Errors of these kinds, alone or in groups, become lines on standard error and exit status 1."""
    try:
        yield
    except* kinds as failed:
        for error in leaves(failed):
            sys.stderr.write(f"waystation: {_words(error)}\n")
        sys.exit(1)


@contextmanager
def until_nobody_reads() -> Iterator[None]:
    """Ctrl-C, and `| head`, end it without a word. Inside of `told`, for which a pipe's end is an error."""
    try:
        yield
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # what the interpreter flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _words(error: Exception) -> str:
    """Without the number of an error whose words are our own."""
    if isinstance(error, OSError) and error.strerror and error.filename is None:
        return error.strerror
    return str(error)


def leaves(group: BaseExceptionGroup[Exception]) -> list[Exception]:
    """The errors themselves."""
    found: list[Exception] = []
    for error in group.exceptions:
        found += leaves(error) if isinstance(error, BaseExceptionGroup) else [error]
    return found
