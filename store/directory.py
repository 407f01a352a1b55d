"""The data directory itself: a marker file that says what it is, and a lock that says whose it is.

    <path>/waystation-store   format and groups, in TOML; written last when a store or a group is made
    <path>/lock               flock(2) held for as long as the store is open
    <path>/<group>/data.mdb   one LMDB environment per group (lock.mdb beside it is LMDB's)

This module must never open an environment.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tomllib
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Final

from store.disk import naming_a_full_disk, sync_directory
from store.errors import DamagedStore, DirectoryInUse, ForeignDirectory, NewerFormat, NoStore, OlderFormat
from store.limits import FORMAT
from store.schema import Group

MARKER: Final = "waystation-store"
LOCK: Final = "lock"
_IGNORED: Final = frozenset({LOCK, "lost+found", MARKER + ".partial"})


class Directory:
    """A data directory that this process holds, until `close`; or looks at beside the process that holds it.

    Args:
        path: made if it doesn't exist, unless `existing`.
        existing: a store must be there already (read-only open, backup, verification).
        beside: don't ask whose it is. For reading only: LMDB lets other processes read while one writes.

    Raises:
        DirectoryInUse, ForeignDirectory, NoStore, OlderFormat, NewerFormat, DamagedStore.
    """

    __slots__ = ("_lock", "groups", "path")

    def __init__(self, path: str | os.PathLike[str], *, existing: bool = False, beside: bool = False) -> None:
        assert existing or not beside
        self.path = Path(path).absolute()
        if existing and not (self.path / MARKER).is_file():
            raise NoStore(f"{self.path} holds no store")
        refuse_foreign(self.path)
        if beside:
            self._lock = -1
            self.groups = read_marker(self.path)
            return
        with naming_a_full_disk(self.path):
            if not existing:
                make_directory(self.path)
            self._lock = _open_lock(self.path / LOCK, existing=existing)
        try:
            try:
                if self._lock >= 0:
                    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DirectoryInUse(f"another process holds {self.path}") from None
            refuse_foreign(self.path)
            self.groups = read_marker(self.path) if (self.path / MARKER).exists() else frozenset[str]()
        except BaseException:
            self.close()
            raise

    def those_there_first(self, groups: Sequence[Group]) -> list[Group]:
        """The order to open them in: nothing is made before all that is there was looked at."""
        return sorted(groups, key=lambda group: not self._is_there(group.name))

    def refuse_missing(self, group: str, *, beside: bool) -> None:
        """Raise DamagedStore if the group's file isn't there and must have been.

        That is: if the marker says that it was made, or if there is no marker although a group beside it was written
        to. The first open writes the marker before anything is committed, so a store without one has only new groups.
        """
        if self._is_there(group):
            return
        if group in self.groups:
            raise DamagedStore(f"{self.path / group}/data.mdb is gone")
        if beside and not self.groups:
            raise DamagedStore(f"{self.path / MARKER} is gone, and so is {self.path / group}/data.mdb")

    def _is_there(self, group: str) -> bool:
        # An empty file is an open that died as LMDB made it; where the marker names it, the environment refuses it.
        data = self.path / group / "data.mdb"
        return data.exists() and (group in self.groups or data.stat().st_size > 0)

    def mark(self, groups: Iterable[str]) -> None:
        """Write down, durably, that these groups are there. Called once they are."""
        together = self.groups | frozenset(groups)
        if together != self.groups:
            write_marker(self.path, together)
            self.groups = together

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


def read_marker(path: Path) -> frozenset[str]:
    """The groups of the store in `path`, if this release can read it."""
    try:
        marker = tomllib.loads((path / MARKER).read_text())
        version, groups = int(marker["format"]), frozenset(map(str, marker["groups"]))
    except (ValueError, KeyError, TypeError):
        raise DamagedStore(f"{path / MARKER} can't be read") from None
    refuse_format(version, str(path))
    return groups


def write_marker(path: Path, groups: Collection[str]) -> None:
    """Put the marker there, all or nothing."""
    for group in groups:  # LMDB never syncs the name of the file that it made
        sync_directory(path / group)
    partial = path / (MARKER + ".partial")
    names = ", ".join(f'"{name}"' for name in sorted(groups))
    with naming_a_full_disk(partial):
        with partial.open("w") as file:
            file.write(
                f"# A store of Waystation. Don't touch the files beside this one.\nformat = {FORMAT}\n"
            )
            file.write(f"groups = [{names}]\n")
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


def make_directory(path: Path) -> None:
    """Make a directory and those above it, so that their names survive power loss."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in missing:
        sync_directory(each.parent)


def _open_lock(path: Path, *, existing: bool) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if existing and error.errno == errno.EROFS:
            return -1  # a backup on a read-only medium: nobody can write there
        raise


def _half_made(entry: Path) -> bool:
    """A group's folder of a store that was never finished (its own check for foreign content comes at open)."""
    return (
        entry.is_dir()
        and entry.name.isidentifier()
        and {one.name for one in entry.iterdir()} <= {"data.mdb", "lock.mdb"}
    )
