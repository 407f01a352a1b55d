"""What the store asks of a file system besides LMDB: durable names, and a full disk called by its name."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from store.errors import DiskFull

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the kernel calls a disk, a quota or a file that is full."""

NEARLY_FULL_BYTES: Final = 4 * 1024 * 1024


def sync_directory(path: Path) -> None:
    """fsync a directory, so that names in it survive power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming_a_full_disk(where: object) -> Iterator[None]:
    """Raise DiskFull in place of the operating system's words for it."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFull(f"no room for {where}") from error
        raise


def nearly_full(path: Path) -> bool:
    """Whether the file system of `path` has next to no room."""
    room = os.statvfs(path)
    return room.f_bavail * room.f_frsize < NEARLY_FULL_BYTES
