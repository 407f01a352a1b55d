"""The rows in SQLite: one file, one process, every commit on the disk before it returns.

WAL with synchronous=FULL: a commit is one fsync of the log, and survives power loss, not only a crash
(https://sqlite.org/pragma.html#pragma_synchronous). The exclusive locking mode keeps a second process out: two
of them on one device's counters would use a number twice. The file holds the device's private key, so only its
owner may read it. This module must never know what the rows mean.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any, Final

from client.errors import StateError, StateForeign, StateFull, StateInUse, StateNewer
from client.records import (
    COLUMNS,
    IDENTITY,
    INCOMING,
    OUTBOX,
    OUTGOING,
    REFUSAL,
    TRUST,
    Row,
    Snapshot,
    StoredMessage,
    Write,
)

APPLICATION_ID: Final = 0x57415953
"""The file says in its header that it is ours ("WAYS"; see `file` and sqlite.org/pragma.html#pragma_application_id)."""
FORMAT: Final = 1

_SCHEMA: Final = """
CREATE TABLE identity (role TEXT PRIMARY KEY, user INTEGER NOT NULL, seed BLOB NOT NULL, stream BLOB NOT NULL,
    generation INTEGER NOT NULL, attempted INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE outgoing (recipient INTEGER, stream BLOB, next INTEGER NOT NULL, delivered TEXT NOT NULL,
    expired TEXT NOT NULL, read INTEGER NOT NULL, news_delivered TEXT NOT NULL, news_expired TEXT NOT NULL,
    read_told INTEGER NOT NULL, PRIMARY KEY (recipient, stream)) STRICT, WITHOUT ROWID;
CREATE TABLE outbox (recipient INTEGER, number INTEGER, body BLOB, written REAL NOT NULL,
    PRIMARY KEY (recipient, number)) STRICT;
CREATE TABLE refusal (recipient INTEGER, stream BLOB, number INTEGER, code INTEGER NOT NULL, retry REAL NOT NULL,
    PRIMARY KEY (recipient, stream, number)) STRICT, WITHOUT ROWID;
CREATE TABLE incoming (sender INTEGER, stream BLOB, received TEXT NOT NULL, unconfirmed TEXT NOT NULL,
    read INTEGER NOT NULL, read_confirmed INTEGER NOT NULL, heard INTEGER NOT NULL,
    PRIMARY KEY (sender, stream)) STRICT, WITHOUT ROWID;
CREATE TABLE inbox (id INTEGER PRIMARY KEY, sender INTEGER NOT NULL, stream BLOB NOT NULL, number INTEGER NOT NULL,
    late INTEGER NOT NULL, arrived INTEGER NOT NULL, body BLOB NOT NULL) STRICT;
CREATE TABLE trust (server TEXT PRIMARY KEY, fingerprint BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""


class State:
    """An open state file. May be called from any thread; calls wait for one another."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._lock = Lock()
        self._puts = {name: _put(name) for name in COLUMNS}
        self._deletes = {name: _delete(name) for name in COLUMNS}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "State":
        """Open the file, or make it with its directory.

        Raises:
            StateInUse, StateForeign, StateNewer, StateFull, StateError: as they say; nothing was changed.
        """
        file = Path(path)
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError as error:
            raise StateError(f"{file}: {error.strerror}") from error
        with _named(file):
            connection = sqlite3.connect(file, timeout=0.5, isolation_level=None, check_same_thread=False)
            try:
                _prepare(connection, file)
            except BaseException:
                connection.close()
                raise
        _sync_directory(file.parent)
        return cls(connection, file)

    def load(self) -> Snapshot:
        """Everything but the bodies of the inbox."""
        with self._lock, _named(self._path):
            count, last = self._connection.execute(
                "SELECT count(*), coalesce(max(id), 0) FROM inbox"
            ).fetchone()
            return Snapshot(
                identity=self._rows(IDENTITY),
                outgoing=self._rows(OUTGOING),
                outbox=self._rows(OUTBOX),
                refusal=self._rows(REFUSAL),
                incoming=self._rows(INCOMING),
                inbox_count=count,
                inbox_last=last,
            )

    def commit(self, writes: list[Write]) -> None:
        """All of them in one transaction, on the disk when it returns.

        Raises:
            StateFull, StateError: none of them is stored.
        """
        groups: dict[str, list[tuple[Any, ...]]] = {}
        for table, key, row in writes:
            if row is None:
                groups.setdefault(self._deletes[table], []).append(key)
            else:
                groups.setdefault(self._puts[table], []).append((*key, *row))
        with self._lock, _named(self._path):
            execute = self._connection.execute
            execute("BEGIN IMMEDIATE")
            try:
                for statement, rows in groups.items():
                    self._connection.executemany(statement, rows)
                execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    execute("ROLLBACK")
                raise

    def inbox(self, after: int, limit: int) -> list[StoredMessage]:
        """The next messages that the app hasn't acked, by their order of arrival."""
        query = "SELECT * FROM inbox WHERE id > ? ORDER BY id LIMIT ?"
        with self._lock, _named(self._path):
            rows = self._connection.execute(query, (after, limit)).fetchall()
        return [
            StoredMessage(id_, sender, stream, number, bool(late), arrived, body)
            for id_, sender, stream, number, late, arrived, body in rows
        ]

    def fingerprint(self, server: str) -> bytes | None:
        """The SHA-256 of the certificate that this server showed first."""
        with self._lock, _named(self._path):
            query = "SELECT fingerprint FROM trust WHERE server = ?"
            row = self._connection.execute(query, (server,)).fetchone()
        return row[0] if row else None

    def trust(self, server: str, fingerprint: bytes) -> None:
        """Remember the certificate."""
        self.commit([(TRUST, (server,), (fingerprint,))])

    def close(self) -> None:
        """Give the file free."""
        self._connection.close()

    def _rows(self, table: str) -> tuple[Row, ...]:
        keys = COLUMNS[table][0]
        query = f"SELECT {_names(table)} FROM {table} ORDER BY {', '.join(keys)}"  # noqa: S608 - our own names
        width = len(keys)
        return tuple((row[:width], row[width:]) for row in self._connection.execute(query))


def _prepare(connection: sqlite3.Connection, file: Path) -> None:
    execute = connection.execute
    execute("PRAGMA locking_mode=EXCLUSIVE")
    (application,) = execute("PRAGMA application_id").fetchone()
    (version,) = execute("PRAGMA user_version").fetchone()
    (tables,) = execute("SELECT count(*) FROM sqlite_master").fetchone()
    is_new = application == 0 and tables == 0
    if not is_new and application != APPLICATION_ID:
        raise StateForeign(f"{file} is another program's database")
    if version > FORMAT:
        raise StateNewer(f"{file} has format {version}; this library knows {FORMAT}")
    execute("PRAGMA journal_mode=WAL")
    execute("PRAGMA synchronous=FULL")
    execute("PRAGMA secure_delete=FAST")
    execute("BEGIN IMMEDIATE")  # takes the lock that keeps others out, also when there is nothing to make
    if is_new:
        for statement in _SCHEMA.split(";"):
            execute(statement)
        execute(f"PRAGMA application_id={APPLICATION_ID}")
        execute(f"PRAGMA user_version={FORMAT}")
    execute("COMMIT")


def _names(table: str) -> str:
    keys, others = COLUMNS[table]
    return ", ".join((*keys, *others))


def _put(table: str) -> str:
    keys, others = COLUMNS[table]
    marks = ", ".join("?" * (len(keys) + len(others)))
    return f"INSERT OR REPLACE INTO {table} ({_names(table)}) VALUES ({marks})"  # noqa: S608 - our own names


def _delete(table: str) -> str:
    where = " AND ".join(f"{key} = ?" for key in COLUMNS[table][0])
    return f"DELETE FROM {table} WHERE {where}"  # noqa: S608 - our own names


@contextmanager
def _named(file: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise StateInUse(f"{file} is open in another process") from error
        if code == sqlite3.SQLITE_FULL:
            raise StateFull(f"{file}: {error}") from error
        if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise StateForeign(f"{file}: {error}") from error
        raise StateError(f"{file}: {error}") from error


def _sync_directory(directory: Path) -> None:
    """So that a file just made is there after a power loss."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
