"""The virtual disk of one node: a data directory in memory, passed to `Store.open` in place of LMDB and real files.

    disk = VirtualDisk("0", observe)
    Store.open("/node", groups, committer="inline", environments=disk.environment, directories=disk.directory)

What was committed is on it, whatever becomes of the process; what was not is gone with `crash`. It can be full, fail a
sync or lose power in the middle of a commit, be copied as a whole and be put back as it was (an old backup, a clone).
It tells of every commit what was written, and knows records only as bytes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from ops.simulation.maps import VirtualMap
from ops.simulation.transactions import Undo, VirtualFile, VirtualTransaction
from store.directory import Directory, Marker
from store.environment import Environment
from store.errors import DirectoryInUse, DiskFull, NoStore, StoreError, SyncFailed
from store.limits import StoreSettings
from store.work import SEQUENCE_KEY

META = b"meta"


class Commit(NamedTuple):
    """What one commit made durable. `changes`: (map, key, record, or None if it is gone)."""

    node: str
    group: str
    sequence: int
    changes: list[tuple[bytes, bytes, bytes | None]]


class CommitFault(Enum):
    """What happens to the next commit."""

    CUT_BEFORE = "power is lost before the next commit"
    CUT_AFTER = "power is lost after the next commit, before anybody hears of it"
    SYNC_LOST = "the next sync fails, and nothing was written"
    SYNC_KEPT = "the next sync fails, and all was written"


class PowerCut(BaseException):
    """The node is gone, from one instruction to the next. No code of the node may handle it."""


class Image(NamedTuple):
    """A whole directory at one moment."""

    groups: dict[str, dict[bytes, VirtualMap]]
    marked: Marker


class VirtualDisk:
    """One data directory. At most one process holds it."""

    def __init__(self, node: str, observe: Callable[[Commit], None] | None = None) -> None:
        self.node = node
        self.observe = observe
        self.files: dict[str, VirtualFile] = {}
        self.marked = Marker()
        self.held = False
        self.full = False
        self.fault: CommitFault | None = None
        self.commits = 0

    # ---- what Store.open takes ----------------------------------------------------------------------

    def directory(
        self, path: str | os.PathLike[str], *, existing: bool = False, beside: bool = False
    ) -> Directory:
        """In place of `store.directory.Directory`."""
        return VirtualDirectory(self, path, existing=existing, beside=beside)

    def environment(self, path: Path, settings: StoreSettings, *, read_only: bool = False) -> Environment:
        """In place of `store.environment.Environment`."""
        return VirtualEnvironment(self, path, read_only=read_only)

    # ---- what may happen to it ----------------------------------------------------------------------

    def crash(self) -> None:
        """The process that held it is gone, and with it what it hadn't committed."""
        for file in self.files.values():
            while file.writer is not None:
                file.writer.abort()
            file.readers.clear()
        self.held = False
        self.fault = None

    def image(self) -> Image:
        """A copy of all that is committed."""
        assert all(file.writer is None for file in self.files.values()), "in the middle of a commit"
        groups = {
            group: {name: one.copy() for name, one in file.maps.items()} for group, file in self.files.items()
        }
        return Image(groups, self.marked)

    def restore(self, image: Image) -> None:
        """Put back what was there at the moment of an image, this disk's or another's."""
        assert not self.held, "a process holds the directory"
        self.files = {}
        for group, maps in image.groups.items():
            file = self.files[group] = VirtualFile()
            file.maps = {name: one.copy() for name, one in maps.items()}
        self.marked = image.marked

    def wipe(self) -> None:
        """A new, empty disk in the old one's place."""
        self.restore(Image({}, Marker()))

    # ---- what a checker may look at -----------------------------------------------------------------

    def rows(self, group: str, name: bytes) -> dict[bytes, bytes]:
        """What is committed in one map, in no order. Not to be changed."""
        file = self.files.get(group)
        assert file is None or file.writer is None, "in the middle of a commit"
        found = None if file is None else file.maps.get(name)
        return {} if found is None else found.rows

    # ---- committing ---------------------------------------------------------------------------------

    def commit(self, group: str, transaction: VirtualTransaction) -> None:
        """Make a transaction durable, or fail in the way that is due.

        Raises:
            DiskFull: nothing was written. SyncFailed: nobody knows. PowerCut.
        """
        undo = transaction.pending()
        fault, self.fault = self.fault, None
        if fault is CommitFault.CUT_BEFORE:
            raise PowerCut
        if fault is CommitFault.SYNC_LOST:
            transaction.abort()
            raise SyncFailed(f"a sync of the virtual disk of {self.node} failed")
        if self.full and _grown(undo) > 0:
            transaction.abort()
            raise DiskFull(f"the virtual disk of {self.node} has no room")
        transaction.commit()
        self.commits += 1
        if self.observe is not None and undo:
            self.observe(self._told(group, undo))
        if fault is CommitFault.SYNC_KEPT:
            raise SyncFailed(f"a sync of the virtual disk of {self.node} failed")
        if fault is CommitFault.CUT_AFTER:
            raise PowerCut

    def _told(self, group: str, undo: Undo) -> Commit:
        changes: list[tuple[bytes, bytes, bytes | None]] = []
        seen: set[tuple[bytes, bytes]] = set()
        for database, key, before in undo:
            if key is None:
                changes += [(database.name, gone, None) for gone in before[0]]
            elif (database.name, key) not in seen:
                seen.add((database.name, key))
                changes.append((database.name, key, database.rows.get(key)))
        meta = self.files[group].maps.get(META)
        sequence = b"" if meta is None else meta.rows.get(SEQUENCE_KEY, b"")
        return Commit(self.node, group, int.from_bytes(sequence, "big"), changes)


class VirtualDirectory(Directory):
    """The directory side of a `VirtualDisk`: who holds it, and which groups were marked as there."""

    __slots__ = ("_disk",)

    def __init__(
        self, disk: VirtualDisk, path: str | os.PathLike[str], *, existing: bool, beside: bool
    ) -> None:
        self._lock = -1
        self.path = Path(path)
        self._disk = disk
        self.marker = disk.marked
        if existing and not disk.marked.groups:
            raise NoStore(f"{path} holds no store")
        if disk.held:
            raise DirectoryInUse(f"another process holds {path}")
        disk.held = not beside

    def _is_there(self, group: str) -> bool:
        return group in self._disk.files

    def refuse_unnamed(self, opened: Collection[str]) -> None:
        """A marker is never lost."""

    def write(self, marker: Marker) -> None:
        """Make the marker durable."""
        self.marker = self._disk.marked = marker

    def remove(self, group: str) -> None:
        """Take a group's files away."""
        self._disk.files.pop(group, None)

    def close(self) -> None:
        """Give the directory free."""
        self._disk.held = False


class VirtualEnvironment(Environment):
    """One group of a `VirtualDisk`, with the operations of `store.environment.Environment`."""

    __slots__ = ("_disk", "_file")

    def __init__(self, disk: VirtualDisk, path: Path, *, read_only: bool) -> None:
        self.path = path
        self.read_only = read_only
        self._disk = disk
        if path.name not in disk.files:
            disk.files[path.name] = VirtualFile()
        self._file = disk.files[path.name]
        self.env: Any = self._file

    def database(self, name: bytes, *, create: bool = True, transaction: Any = None) -> Any:
        """A named map, or None if it isn't there and isn't to be made."""
        found = self._file.maps.get(name)
        if found is None and create and not self.read_only:
            found = self._file.maps[name] = VirtualMap(name)
        return found

    def begin(self, *, write: bool = False, parent: Any = None) -> Any:
        """A transaction."""
        return self._file.begin(write=write, parent=parent)

    def commit(self, transaction: Any) -> None:
        """Make a transaction durable; a child joins its parent."""
        if transaction.is_child:
            transaction.commit()
        else:
            self._disk.commit(self.path.name, transaction)

    def file_bytes(self) -> int:
        """A guess: what keys and records take."""
        return sum(
            len(key) + len(record) for one in self._file.maps.values() for key, record in one.rows.items()
        )

    def used_bytes(self, databases: Iterable[Any]) -> int:
        """Nothing is ever cold."""
        return 0

    def forget_dead_readers(self) -> None:
        """There are none."""

    def in_use(self) -> bool:
        """Whether somebody reads."""
        return bool(self._file.readers)

    def copy(self, descriptor: int) -> None:
        """Raises StoreError: there is no file."""
        raise StoreError("a virtual disk has no file that could be copied", "use VirtualDisk.image")

    def close(self) -> None:
        """Undo what wasn't committed."""
        while self._file.writer is not None:
            self._file.writer.abort()
        self._file.readers.clear()


def _grown(undo: Undo) -> int:
    """Bytes by which a transaction makes the maps larger."""
    first: dict[tuple[VirtualMap, bytes], int] = {}
    grown = 0
    for database, key, before in undo:
        if key is None:
            grown -= sum(len(gone) + len(record) for gone, record in before[0].items())
        else:
            first.setdefault((database, key), 0 if before is None else len(key) + len(before))
    for (database, key), size in first.items():
        record = database.rows.get(key)
        grown += (0 if record is None else len(key) + len(record)) - size
    return grown
