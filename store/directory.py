"""The data directory itself: a marker file that says what it is, and a lock that says whose it is.

    <path>/waystation-store   "format = 1", written last when a store is made
    <path>/lock               flock(2) held for as long as the store is open
    <path>/<group>/data.mdb   one LMDB environment per group (lock.mdb beside it is LMDB's)

This module must never open an environment.
"""

from __future__ import annotations

import fcntl
import os
import re
from pathlib import Path
from typing import Final

from store.errors import DamagedStore, DirectoryInUse, ForeignDirectory, NewerFormat, NoStore, OlderFormat
from store.limits import FORMAT

MARKER: Final = "waystation-store"
LOCK: Final = "lock"
_IGNORED: Final = frozenset({LOCK, "lost+found", MARKER + ".partial"})


class Directory:
    """A data directory that this process holds, until `close`.

    Args:
        path: made if it doesn't exist, unless `existing`.
        existing: a store must be there already (read-only open, backup, verification).

    Raises:
        DirectoryInUse, ForeignDirectory, NoStore, OlderFormat, NewerFormat, DamagedStore.
    """

    __slots__ = ("_lock", "new", "path")

    def __init__(self, path: str | os.PathLike[str], *, existing: bool = False) -> None:
        self.path = Path(path).absolute()
        if existing and not (self.path / MARKER).is_file():
            raise NoStore(f"{self.path} holds no store")
        refuse_foreign(self.path)
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DirectoryInUse(f"another process holds {self.path}") from None
            refuse_foreign(self.path)
            self.new = not (self.path / MARKER).exists()
            if not self.new:
                read_marker(self.path)
        except BaseException:
            os.close(self._lock)
            raise

    def mark(self) -> None:
        """Write the marker, durably. Called once everything else of a new store is on disk."""
        write_marker(self.path)
        self.new = False

    def close(self) -> None:
        """Give the directory free."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def refuse_foreign(path: Path) -> None:
    """Raise ForeignDirectory if there is something in `path` that no store put there."""
    if not path.exists():
        return
    if not path.is_dir():
        raise ForeignDirectory(f"{path} is a file")
    if (path / MARKER).exists():
        return
    for entry in path.iterdir():
        # A group's folder without the marker: the first open died halfway, which is fine if that is all there is.
        if entry.name not in _IGNORED and not _half_made(entry):
            raise ForeignDirectory(f"{path} has {entry.name!r} in it and no marker of a store")


def read_marker(path: Path) -> int:
    """The format version of the store in `path`, if this release can read it."""
    text = (path / MARKER).read_text(errors="replace")
    found = re.fullmatch(r"format = (\d{1,9})\n", text)
    if not found:
        raise DamagedStore(f"{path / MARKER} doesn't read 'format = {FORMAT}'")
    refuse_format(int(found[1]), str(path))
    return int(found[1])


def write_marker(path: Path) -> None:
    """Put the marker there, all or nothing."""
    partial = path / (MARKER + ".partial")
    with partial.open("w") as file:
        file.write(f"format = {FORMAT}\n")
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path / MARKER)
    sync_directory(path)
    sync_directory(path.parent)


def refuse_format(found: int, where: str) -> None:
    """Raise unless `found` is the format of this release."""
    if found < FORMAT:
        raise OlderFormat(f"{where} has format {found}; this release reads {FORMAT}")
    if found > FORMAT:
        raise NewerFormat(f"{where} has format {found}; this release reads {FORMAT}")


def sync_directory(path: Path) -> None:
    """fsync a directory, so that names in it survive power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _half_made(entry: Path) -> bool:
    """A group's folder of a store that was never finished (its own check for foreign content comes at open)."""
    return (
        entry.is_dir()
        and entry.name.isidentifier()
        and {one.name for one in entry.iterdir()} <= {"data.mdb", "lock.mdb"}
    )
