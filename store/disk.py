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

PROBE_BYTES: Final = 64 * 1024 * 1024
"""Room that a file system must have for a failed write not to be put down to a full disk."""


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


def has_room_beyond(path: Path) -> bool:
    """Whether a file beside `path` could be made longer than `path` is by PROBE_BYTES: asks the disk, quotas, limits.

    For a write that was cut short, which LMDB reports as an input/output error, as it does a failed fsync.
    """
    probe = path.with_name(path.name + ".probe")
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, path.stat().st_size, PROBE_BYTES)
        finally:
            os.close(descriptor)
            probe.unlink()
    except OSError as error:
        return error.errno not in FULL
    return True
