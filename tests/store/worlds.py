"""Three implementations of the same tables: on disc, in memory, and a dictionary that knows nothing of either.

`Plain` is the dumb rewrite that the other two are compared with. The suites run on all three.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from store.match import Match
from store.record import Version
from store.results import Result
from store.schema import Group, Index, Table
from store.store import Store
from store.writes import APPLY, DELETE, MERGE, PUT, REMOVE

MEMORY = "/dev/shm"
"""Where stores are that lose no power: thousands of their commits would wait for a disk that other tests use, too."""
GROUP = "things"

GONE = "a deleted row"
"""In the place of the value, in what a subscriber hears."""


def by_colour(key: tuple[Any, ...], value: Any) -> list[tuple[Any, ...]]:
    return [(colour,) for colour in value.get("colours", [])]


def by_size(key: tuple[Any, ...], value: Any) -> list[tuple[Any, ...]]:
    return [(value["size"], key[-1])] if "size" in value else []


def union(old: Any, new: Any) -> Any:
    return sorted({*(old or []), *new})


def tables(storage: str) -> tuple[Table, ...]:
    """A table of each sort."""
    kind: Any = storage
    return (
        Table("simple", storage=kind),
        Table("inserted", storage=kind, insert_only=True),
        Table("buried", storage=kind, tombstones=True),
        Table("coloured", storage=kind, indexes=(Index("colour", by_colour), Index("size", by_size))),
        Table("merged", storage=kind, merge=union),
        Table("whole", storage=kind, partitioned=False, tombstones=True),
        Table("local", storage=kind, local_content=True),
        Table("bag", kind="bag", storage=kind),
        Table("tomb_bag", kind="bag", storage=kind, tombstones=True),
    )


def order(key: tuple[Any, ...]) -> tuple[Any, ...]:
    """How tuples of different types compare."""
    ranks = {type(None): 0, bytes: 1, str: 2, tuple: 3, int: 4}
    return tuple(
        (ranks[type(one)], order(one) if isinstance(one, tuple) else (one if one is not None else 0))
        for one in key
    )


class Plain:
    """Tables as dictionaries of lists."""

    def __init__(self, declared: Sequence[Table]) -> None:
        self.declared = {table.name: table for table in declared}
        self.rows: dict[str, dict[tuple[Any, ...], list[Any]]] = {table.name: {} for table in declared}
        self.tombs: dict[str, set[Any]] = {table.name: set() for table in declared}
        self.versions: dict[str, dict[Any, Version]] = {table.name: {} for table in declared}
        """Of records and tombstones. Of this node's own only the epoch: in an epoch they are older than others'."""
        self.events: list[tuple[str, tuple[Any, ...], Any]] = []
        """(table, key, value or GONE) of what a subscriber hears."""

    def copy(self) -> Plain:
        other = Plain(tuple(self.declared.values()))
        other.rows = {
            name: {key: list(values) for key, values in rows.items()} for name, rows in self.rows.items()
        }
        other.tombs = {name: set(tombs) for name, tombs in self.tombs.items()}
        other.versions = {name: dict(versions) for name, versions in self.versions.items()}
        return other

    def add(self, table: Table) -> None:
        """A table more."""
        self.declared[table.name] = table
        self.rows[table.name], self.tombs[table.name], self.versions[table.name] = {}, set(), {}

    def drop(self, name: str) -> None:
        """A table less."""
        del self.declared[name], self.rows[name], self.tombs[name], self.versions[name]

    # writes, as a transaction has them

    def put(self, table: str, key: tuple[Any, ...], value: Any) -> None:
        self._set(table, key, value, self._own(table, self._id(table, key, value)))

    def delete(self, table: str, key: tuple[Any, ...]) -> None:
        if self.declared[table].kind == "bag":
            for value in list(self.rows[table].get(key, [])):
                self.remove(table, key, value)
        else:
            self._take(table, key, None, self._own(table, key))

    def remove(self, table: str, key: tuple[Any, ...], value: Any) -> None:
        self._take(table, key, value, self._own(table, self._id(table, key, value)))

    def merge(self, table: str, key: tuple[Any, ...], value: Any) -> None:
        merge = self.declared[table].merge
        assert callable(merge)
        self.put(table, key, merge(self.get(table, key), value))

    def apply(
        self, table: str, key: tuple[Any, ...], value: Any, version: Version, *, tombstone: bool
    ) -> None:
        """Another node's record; of a tombstone in a bag, with the value that is gone."""
        declared = self.declared[table]
        values = self.rows[table].get(key, [])
        known = self.versions[table].get(self._id(table, key, value))
        if callable(declared.merge) and values and not tombstone:
            assert known is not None
            merged = values[0] if values[0] == value else declared.merge(values[0], value)
            if merged != values[0] or version > known:
                self._set(table, key, merged, max(known, version))
        elif known is not None and version <= known:
            pass
        elif tombstone:
            self._take(table, key, value, version)
        else:
            self._set(table, key, value, version)

    def _id(self, table: str, key: tuple[Any, ...], value: Any) -> Any:
        return (key, repr(value)) if self.declared[table].kind == "bag" else key

    def _own(self, table: str, record: Any) -> Version:
        known = self.versions[table].get(record)
        if known is None or not known.epoch:
            return Version(0, 0, 0)
        return Version(
            known.epoch + bool(known.sequence), 0, 0
        )  # over one of its own the same epoch is enough

    def _set(self, table: str, key: tuple[Any, ...], value: Any, version: Version) -> None:
        record = self._id(table, key, value)
        if self.declared[table].kind == "bag":
            values = self.rows[table].setdefault(key, [])
            if value not in values:
                values.append(value)
        else:
            self.rows[table][key] = [value]
        self.tombs[table].discard(record)
        self.versions[table][record] = version
        self.events.append((table, key, value))

    def _take(self, table: str, key: tuple[Any, ...], value: Any, version: Version) -> None:
        record = self._id(table, key, value)
        values = self.rows[table].get(key, [])
        there = value in values if self.declared[table].kind == "bag" else bool(values)
        if there:
            if self.declared[table].kind == "bag":
                values.remove(value)
            else:
                values.clear()
            if not values:
                del self.rows[table][key]
            self.events.append((table, key, GONE))
        if self.declared[table].tombstones:
            self.tombs[table].add(record)
            self.versions[table][record] = version
        else:
            self.versions[table].pop(record, None)

    # reads, as a snapshot has them

    def get(self, table: str, key: tuple[Any, ...]) -> Any:
        values = self.rows[table].get(key, [])
        return list(values) if self.declared[table].kind == "bag" else (values[0] if values else None)

    def items(self, table: str) -> list[tuple[Any, Any]]:
        return [
            (key, value)
            for key, values in sorted(self.rows[table].items(), key=lambda row: order(row[0]))
            for value in values
        ]

    def range(
        self, table: str, low: Any, high: Any, limit: int = 1_000, *, reverse: bool = False
    ) -> list[Any]:
        found = [item for item in self.items(table) if order(low) <= order(item[0]) < order(high)]
        return (found[::-1] if reverse else found)[:limit]

    def prefix(
        self, table: str, prefix: Any, after: Any = None, limit: int = 1_000, *, reverse: bool = False
    ) -> list[Any]:
        found = [item for item in self.items(table) if item[0][: len(prefix)] == prefix]
        if after is not None:
            found = [
                item
                for item in found
                if (order(item[0]) < order(after) if reverse else order(item[0]) > order(after))
            ]
        return (found[::-1] if reverse else found)[:limit]

    def index(self, table: str, index: str, prefix: Any, after: Any = None, limit: int = 1_000) -> list[Any]:
        fn = next(one.fn for one in self.declared[table].indexes if one.name == index)
        entries = [
            (order(entry), order(key), (key, value))
            for key, value in self.items(table)
            for entry in {*fn(key, value)}
            if entry[: len(prefix)] == prefix and (after is None or order(entry) > order(after))
        ]
        return [item for _, _, item in sorted(entries, key=lambda one: one[:2])][:limit]

    def select(self, table: str, match: Match, limit: int = 1_000) -> list[Any]:
        if match.index is not None:
            fn = next(one.fn for one in self.declared[table].indexes if one.name == match.index)
            entries = [
                (order(entry), order(key), (key, value))
                for key, value in self.items(table)
                for entry in {*fn(key, value)}
                if match.key_fits(entry) and match.value_fits(key, value)
            ]
            return [item for _, _, item in sorted(entries, key=lambda one: one[:2])][:limit]
        return [
            (key, value)
            for key, value in self.items(table)
            if match.key_fits(key) and match.value_fits(key, value)
        ][:limit]

    def count(self, table: str) -> int:
        return len(self.items(table))


@attrs.define(slots=False)
class World:
    """What the suites drive: commit, transact, read."""

    commit: Callable[[list[Any]], None]
    transact: Callable[[Callable[[Any], Any]], Any]
    read: Callable[[Callable[[Any], Any]], Any]


def plain_world(declared: Sequence[Table]) -> World:
    holder = [Plain(declared)]
    names = [table.name for table in declared]

    def transact(fn: Callable[[Any], Any]) -> Any:
        copy = holder[0].copy()
        value = fn(copy)
        holder[0] = copy
        return value

    def commit(writes: list[Any]) -> None:
        transact(lambda plain: apply(plain, names, writes))

    return World(commit, transact, lambda fn: fn(holder[0]))


def apply(plain: Any, names: Sequence[str], writes: Sequence[Any]) -> None:
    """The writes of a submit, one by one."""
    for write in writes:
        table = names[write[1]]
        if write[0] == PUT:
            plain.put(table, write[2], write[3])
        elif write[0] == DELETE:
            plain.delete(table, write[2])
        elif write[0] == MERGE:
            plain.merge(table, write[2], write[3])
        elif write[0] == APPLY:
            plain.apply(table, write[2], write[3], write[4], tombstone=write[5])
        else:
            assert write[0] == REMOVE
            plain.remove(table, write[2], write[3])


def store_world(store: Store) -> World:
    group = store.group(GROUP)

    def outcome(results: list[Result]) -> Any:
        while not results:
            store.deliver_results()
        if results[0].error is not None:
            raise results[0].error
        return results[0].value

    def commit(writes: list[Any]) -> None:
        results: list[Result] = []
        group.submit(writes, results.append)
        outcome(results)

    def transact(fn: Callable[[Any], Any]) -> Any:
        results: list[Result] = []
        group.submit_transaction(results.append, fn)
        return outcome(results)

    def read(fn: Callable[[Any], Any]) -> Any:
        with group.snapshot() as reader:
            return fn(reader)

    return World(commit, transact, read)


class Crashing:
    """A store on a directory that can be left behind as a crash leaves it, and opened again."""

    def __init__(self, storage: str = "disc", **options: Any) -> None:
        self.storage = storage
        self.options = {"committer": "inline", "map_bytes": 64 * 1024 * 1024, **options}
        self.root = Path(tempfile.mkdtemp(prefix="waystation-test-", dir=MEMORY))
        self.lives = 0
        self.store = self._open(self.root / "0")

    def _open(self, path: Path) -> Store:
        return Store.open(path, [Group(GROUP, tables(self.storage))], **self.options)

    @property
    def group(self) -> Any:
        return self.store.group(GROUP)

    def crash(self) -> None:
        """What is on disk now, opened anew; the old process is forgotten, with all that it had queued."""
        self.lives += 1
        path = self.root / str(self.lives)
        shutil.copytree(self.root / str(self.lives - 1), path)
        abandon(self.store)
        shutil.rmtree(self.root / str(self.lives - 1))
        self.store = self._open(path)

    def reopen(self) -> None:
        """Close in good order and open again."""
        self.store.close()
        self.store = self._open(self.root / str(self.lives))

    def end(self) -> None:
        abandon(self.store)
        shutil.rmtree(self.root)


def abandon(store: Store) -> None:
    """Give back what the process holds, committing nothing."""
    for group in store.groups:
        if group._inline is not None:
            group._inline.clear()
    store.close()
