"""What the core of a replica asks of its group's store: rows to keep, others' changes to take in, pieces to read,
ranges to digest, copies to empty, tombstones to forget.

Each answers when the store has done it, and then what follows from the answer is carried out (`drain`). Why any of it
is wanted isn't known here.
"""

from collections.abc import Callable, Sequence
from typing import Any

from replication.core import replica
from replication.core.errors import ReplicationError
from replication.core.state import ReplicaState
from replication.labels import Labels
from replication.tables import REPLICA
from store.digest import range_of
from store.errors import StoreError, UnknownTable
from store.group import OpenGroup
from store.limits import PURGE_ROWS
from store.pulling import Pulled
from store.results import Result
from store.snapshot import Snapshot
from store.transaction import Transaction
from store.writes import DELETE, PUT, Write

DIGEST_KEYS = 2_000
"""Keys in one digest: it stops the group's writer for some milliseconds."""
CLEAR_ROWS = 500
"""Rows of a void copy that are dropped in one transaction, of which a few are in one commit (`core.copies`)."""
END = b"\xff"
"""The end of a range that goes to the end of its partition."""


class Errands:
    """Those of one replica."""

    __slots__ = ("_drain", "_group", "_labels", "_replica_id", "_single", "_state")

    def __init__(
        self, state: ReplicaState, group: OpenGroup, labels: Labels | None, drain: Callable[[], None]
    ) -> None:
        """labels: what tables are called between nodes; None: by their names."""
        self._state = state
        self._group = group
        self._labels = labels
        self._drain = drain
        self._replica_id = group.table(REPLICA.name).id
        self._single = len(state.parts) == 1

    def _own(self, rows: Sequence[tuple[tuple[Any, ...], Any]]) -> list[Write]:
        table = self._replica_id
        return [(DELETE, table, key) if value is None else (PUT, table, key, value) for key, value in rows]

    def store(self, rows: Sequence[Any], done: Callable[[Exception | None], None]) -> None:
        """Rows of the replica's own."""
        self._submit(
            lambda came: self._group.submit(self._own(rows), came), lambda result: done(error_of(result))
        )

    def apply(
        self,
        peer: bytes | None,
        parts: Sequence[Any],
        rows: Sequence[Any],
        trusted: bool,
        done: Callable[[Exception | None, int], None],
    ) -> None:
        """Changes of others, and own rows with them, in one commit."""
        self._submit(
            lambda came: self._group.submit_parts(
                self._placed(parts), self._own(rows), came, source=peer, trusted=trusted
            ),
            lambda result: done(error_of(result), result.sequence),
        )

    def _placed(self, parts: Sequence[Any]) -> list[tuple[int | None, str, bytes]]:
        if self._labels is not None:
            parts = self._labels.inward(parts)
        return [(self._place(part[0]), part[1], part[2]) for part in parts]

    def _submit(
        self, submit: Callable[[Callable[[Result], None]], None], came: Callable[[Result], None]
    ) -> None:
        def done(result: Result) -> None:
            came(result)
            replica.flush(self._state)
            self._drain()

        try:
            submit(done)
        except (StoreError, ReplicationError) as error:
            came(Result(error))

    def read(self, wants: Sequence[Any], rows: int, size: int, done: Callable[..., None]) -> None:
        """What has changed in partitions, each since a sequence."""
        placed = [(self._place(p), since) for p, since in wants]

        def read(reader: Snapshot) -> tuple[int, Pulled]:
            return reader.sequence, reader.pull(placed, None, rows, size)

        def came(result: Result) -> None:
            if result.error is not None:
                done(result.error, 0, (), ())
            else:
                head, pulled = result.value
                parts = [(part[0] or 0, *part[1:]) for part in pulled.parts]
                if self._labels is not None:
                    parts = self._labels.outward(parts)
                done(None, head, parts, [(p or 0, through, whole) for p, through, whole in pulled.progress])
            self._drain()

        try:
            self._group.read(read, came)
        except StoreError as error:
            done(error, 0, (), ())

    def digest(
        self, p: int, table: str | None, after: bytes, last: bytes | None, done: Callable[..., None]
    ) -> None:
        """Of a range that begins after a key; table None: of the first one."""
        names = [one.name for one in self._group.tables if one.state.listed]
        try:
            name = self._first(names) if table is None else self._name(table)
            label = self._label(name)
        except StoreError as error:  # being made or dropped
            done(error, "", b"", 0, b"", None)
            return

        def digest(transaction: Transaction) -> tuple[int, bytes, bytes | None]:
            if last is not None:
                return (
                    *transaction.digest_upto(name, self._place(p), after, None if last == END else last),
                    last,
                )
            return transaction.digest(name, self._place(p), after, DIGEST_KEYS)

        def came(result: Result) -> None:
            if result.error is not None:
                done(result.error, label, b"", 0, b"", None)
            else:
                count, found, end = result.value
                following = [one for one in names[names.index(name) + 1 :] if self._is_labelled(one)]
                onward = (label, end) if end else (self._label(following[0]), b"") if following else None
                done(None, label, end or END, count, found, onward)
            self._drain()

        try:
            self._group.submit_transaction(came, digest, alone=True)
        except StoreError as error:
            done(error, label, b"", 0, b"", None)

    def _first(self, names: Sequence[str]) -> str:
        for name in names:
            if self._is_labelled(name):
                return name
        raise UnknownTable(f"group {self._group.name!r} has no replicated table")

    def _is_labelled(self, name: str) -> bool:
        return self._labels is None or self._labels.label(name) is not None

    def _label(self, name: str) -> str:
        label = name if self._labels is None else self._labels.label(name)
        if label is None:
            raise UnknownTable(f"table {name!r} is being made or dropped")
        return label

    def _name(self, label: str) -> str:
        return label if self._labels is None else self._labels.name(label)

    def clear(self, p: int, done: Callable[[Exception | None, bool], None]) -> None:
        """Some of what a void copy holds; done(error, whether there is more)."""

        def clear(transaction: Transaction) -> bool:
            return transaction.clear(self._place(p), CLEAR_ROWS)

        self._submit(
            lambda came: self._group.submit_transaction(came, clear),
            lambda result: done(error_of(result), bool(result.value)),
        )

    def purge(self, p: int, before: int) -> None:
        """Tombstones that are old enough, of changes before a sequence."""
        tables = [one.name for one in self._group.tables if one.state.listed and one.state.tombstones]
        self._purge_from(p, before, tables, b"")

    def _purge_from(self, p: int, before: int, tables: list[str], after: bytes) -> None:
        if not tables:
            return
        oldest = int(self._group.state.clock() * 1000) - self._state.settings.tombstone_ms

        def purge(transaction: Transaction) -> bytes | None:
            return transaction.purge(
                tables[0], oldest, before, after, PURGE_ROWS, within=range_of(self._place(p))
            )[1]

        def purged(result: Result) -> None:
            # If it can't be done now, the next round will.
            if result.error is None:
                onward = result.value
                self._purge_from(p, before, tables if onward else tables[1:], onward or b"")

        self._submit(lambda came: self._group.submit_transaction(came, purge), purged)

    def _place(self, p: int) -> int | None:
        return None if self._single else p


def error_of(result: Result) -> Exception | None:
    """What went wrong, if anything did; what is no ordinary exception never comes from the store."""
    error = result.error
    assert error is None or isinstance(error, Exception)
    return error
