"""The narrow boundary to LMDB: opening an environment, checking that it is ours and whole, naming its errors.

Only this module, `rows` and `batch` touch `lmdb`. The engine is 0.9 (`lib_version=0`): py-lmdb 3 bundles two, and
files of the other one can't be read back. Tests replace `Environment` to make commits fail.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import lmdb

from store.disk import FULL, has_room_beyond
from store.errors import (
    DamagedStore,
    DirectoryInUse,
    DiskFull,
    ForeignDirectory,
    MapFull,
    NoStore,
    StoreBusy,
    StoreError,
    StoreFatal,
    SubmitTooLarge,
    SyncFailed,
    TooManyTables,
)
from store.limits import StoreSettings

META: Final = b"meta"
CHANGES: Final = b"changes"
DATABASES_MAX: Final = 2_048
SPARE_TRANSACTIONS: Final = 8


class Environment:
    """One open LMDB environment.

    Raises:
        DamagedStore, ForeignDirectory, DiskFull, StoreError.
    """

    __slots__ = ("_page", "env", "path", "read_only")

    def __init__(self, path: Path, settings: StoreSettings, *, read_only: bool = False) -> None:
        self.path = path
        self.read_only = read_only
        path.mkdir(mode=0o700, exist_ok=True)
        _refuse_emptied(path)
        try:
            self.env = lmdb.Environment(
                str(path),
                map_size=settings.map_bytes,
                readonly=read_only,
                create=not read_only,
                max_readers=settings.readers,
                max_dbs=DATABASES_MAX,
                max_spare_txns=SPARE_TRANSACTIONS,
                mode=0o600,
                readahead=False,
                lib_version=0,
            )
            self._page = self.env.stat()["psize"]
            self._refuse_cut_off()
        except lmdb.Error as error:
            raise self.named(error, "open") from error
        except FileNotFoundError as error:  # beside a process that drops the group
            raise NoStore(f"{path} is gone") from error

    def _refuse_cut_off(self) -> None:
        # Reading a mapped page beyond the end of the file would be SIGBUS, not an error.
        needed = (self.env.info()["last_pgno"] + 1) * self._page
        size = (self.path / "data.mdb").stat().st_size
        if size < needed and self.env.info()["last_txnid"] > 0:
            self.env.close()
            raise DamagedStore(f"{self.path}/data.mdb has {size} bytes and must have {needed}")

    def database(self, name: bytes, *, create: bool = True, transaction: Any = None) -> Any:
        """A named database of the environment, or None if it isn't there and isn't to be made.

        Args:
            transaction: the write transaction to do it in, if one is open: LMDB has one at a time. Undone with it.
        """
        try:
            return self.env.open_db(name, transaction, create=create and not self.read_only)
        except lmdb.NotFoundError:
            return None
        except lmdb.Error as error:
            raise self.named(error, "open a table") from error

    def begin(self, *, write: bool = False, parent: Any = None) -> Any:
        """A transaction. Write transactions belong to the thread that began them."""
        try:
            return self.env.begin(write=write, parent=parent)
        except lmdb.Error as error:
            raise self.named(error, "begin") from error

    def commit(self, transaction: Any) -> None:
        """Make a write transaction durable: after this it survives power loss."""
        try:
            transaction.commit()
        except lmdb.Error as error:
            raise self.named(error, "commit") from error

    def file_bytes(self) -> int:
        """How far the file is used, free pages inside it included. It never shrinks."""
        return int((self.env.info()["last_pgno"] + 1) * self._page)

    def used_bytes(self, databases: Iterable[Any]) -> int:
        """What the pages of these databases take: what must be in memory for every read to find it there."""
        transaction = self.begin()
        pages = 0
        for database in databases:
            stat = transaction.stat(database)
            pages += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
        transaction.abort()
        return pages * self._page

    def forget_dead_readers(self) -> None:
        """Free the places of processes that died while they read: they would keep freed pages from being used."""
        if not self.read_only:
            self.env.reader_check()

    def in_use(self) -> bool:
        """Whether a read transaction of this process is open. LMDB's list of readers: pid, thread, transaction or -."""
        readers = (line.split() for line in self.env.readers().splitlines())
        return any(len(one) == 3 and one[0] == str(os.getpid()) and one[2] != "-" for one in readers)

    def copy(self, descriptor: int) -> None:
        """Write a consistent, compacted image to a file descriptor, while others write."""
        try:
            self.env.copyfd(descriptor, compact=True)
        except lmdb.Error as error:
            raise self.named(error, "copy") from error

    def close(self) -> None:
        """Close it. No transaction may be open."""
        self.env.close()

    def named(self, error: Any, doing: str) -> StoreError:
        """The store's name for an error of LMDB."""
        where = f"{self.path} ({doing}: {error})"
        code = getattr(error, "code", 0)
        if isinstance(error, lmdb.MapFullError):
            return MapFull(f"the map of {where} is full")
        if isinstance(error, lmdb.TxnFullError):
            return SubmitTooLarge(f"one transaction is too large for {where}")
        if isinstance(error, lmdb.DiskError) or code in FULL:
            return DiskFull(f"no room for {where}")
        if isinstance(error, lmdb.DbsFullError):
            return TooManyTables(f"{where} has {DATABASES_MAX} maps open, for tables, tombstones and indexes")
        if isinstance(error, lmdb.ReadersFullError):
            return StoreBusy(f"too many read transactions on {where}")
        if code == errno.ENOENT:
            return NoStore(f"{where} isn't there")
        if isinstance(error, lmdb.LockError):
            return DirectoryInUse(f"another process holds {where}")
        if isinstance(error, lmdb.PanicError):
            return SyncFailed(f"an earlier write failed on {where}")
        damaged = (
            lmdb.CorruptedError,
            lmdb.InvalidError,
            lmdb.PageNotFoundError,
            lmdb.VersionMismatchError,
            lmdb.IncompatibleError,
        )
        if isinstance(error, damaged):
            return DamagedStore(f"LMDB can't read {where}")
        if doing == "commit":
            if code == errno.EIO and not has_room_beyond(self.path / "data.mdb"):
                return DiskFull(f"no room for {where}")
            return SyncFailed(f"LMDB couldn't make a commit durable in {where}")
        return StoreError(f"LMDB failed on {where}", "see the cause; if it stays, restart the process")


def is_full(error: StoreError) -> bool:
    """Whether retrying a smaller part of a batch could help."""
    return isinstance(error, DiskFull | MapFull | SubmitTooLarge)


def is_fatal(error: BaseException) -> bool:
    """Whether the process must end."""
    return isinstance(error, StoreFatal)


def refuse_other_content(environment: Environment) -> None:
    """Raise ForeignDirectory if an environment without our meta database has anything in it."""
    if environment.env.stat()["entries"]:
        raise ForeignDirectory(f"{environment.path} is an LMDB environment of something else")


def _refuse_emptied(path: Path) -> None:
    # LMDB takes an empty file for a new environment: data lost in silence.
    data = path / "data.mdb"
    if data.exists() and data.stat().st_size == 0 and (path.parent / "waystation-store").exists():
        raise DamagedStore(f"{data} is empty")
