"""Stores that stand for nodes: what is between them is only what the tap and `pull` give."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from store.record import is_tombstone, original_of
from store.results import Result
from store.schema import Group, Index, Table
from store.store import Store
from store.tapping import Tapped
from store.verify import verify_group
from store.writes import DELETE, PUT

NAME = "g"


def union(old: Any, new: Any) -> Any:
    return sorted({*(old or []), *new})


def by_colour(key: tuple[Any, ...], value: Any) -> list[tuple[Any, ...]]:
    return [(value,)]


def tables(storage: Any = "disc") -> tuple[Table, ...]:
    return (
        Table("last", storage=storage, tombstones=True),
        Table("merged", storage=storage, merge=union),
        Table("buried_merged", storage=storage, merge=union, tombstones=True),
        Table("bag", kind="bag", storage=storage, tombstones=True),
        Table("coloured", storage=storage, tombstones=True, indexes=(Index("colour", by_colour),)),
        Table("whole", storage=storage, tombstones=True, partitioned=False),
        Table("plain", storage=storage),
        Table("position", storage=storage, local_content=True, partitioned=False),
    )


class Peer:
    """One node's store, with all that it taps."""

    def __init__(
        self, path: Path, declared: Sequence[Table] | None = None, *, epoch: int = 0, **options: Any
    ) -> None:
        reconcile = options.pop("reconcile", None)
        group = Group(NAME, tuple(declared or tables()), reconcile)
        self.store = Store.open(
            path, [group], **{"committer": "inline", "map_bytes": 64 * 1024 * 1024, **options}
        )
        self.group = self.store.group(NAME)
        self.group.epochs = lambda partition: epoch
        self.tapped: list[Tapped] = []
        self.group.tap = self.tapped.append

    def id(self, table: str) -> int:
        return self.group.table(table).id

    def put(self, table: str, key: Any, value: Any) -> Result:
        return self.commit((PUT, self.id(table), key, value))

    def delete(self, table: str, key: Any) -> Result:
        return self.commit((DELETE, self.id(table), key))

    def commit(self, *writes: Any) -> Result:
        results: list[Result] = []
        self.group.submit(list(writes), results.append)
        return self.outcome(results)

    def transact(self, fn: Any, *args: Any, **options: Any) -> Any:
        results: list[Result] = []
        self.group.submit_transaction(results.append, fn, *args, **options)
        return self.outcome(results).value

    def apply(self, parts: Any, *writes: Any, trusted: bool = False, source: Any = None) -> Result:
        results: list[Result] = []
        carried = [tuple(part[:3]) for part in parts]
        self.group.submit_parts(carried, list(writes), results.append, source, trusted)
        return self.outcome(results)

    def outcome(self, results: list[Result]) -> Result:
        self.store.deliver_results()
        if results[0].error is not None:
            raise results[0].error
        return results[0]

    def pull_from(self, other: Peer, since: dict[int | None, int], rows: int = 3) -> None:
        """Catch up with another peer from a position for each partition, which moves on."""
        wants = list(since.items())
        while wants:
            with other.group.snapshot() as reader:
                pulled = reader.pull(wants, None, rows, 10_000)
            assert not pulled.damaged
            self.apply(pulled.parts)
            since.update({partition: through for partition, through, _ in pulled.progress})
            wants = [(partition, through) for partition, through, whole in pulled.progress if not whole]

    def records(self) -> dict[tuple[str, bytes], bytes]:
        """Every replicated record and tombstone, as its writer packed it. Of a tombstone, flags and version."""
        found = {}
        with self.group.snapshot() as reader:
            for table in self.group.state.by_id:
                if table.listed:
                    pairs = reader.rows(table).scan(b"", b"\xff", 100_000)
                    if table.tombstones:
                        pairs += reader.buried(table).scan(b"", b"\xff", 100_000)
                    for key, record in pairs:
                        original = original_of(record)
                        found[table.name, key] = original[:21] if is_tombstone(record) else original
        return found

    def digests(self, partitions: Sequence[int | None]) -> list[Any]:
        return [
            self.transact(
                lambda transaction, t=table.name, p=partition: transaction.digest(t, p, limit=10**6)
            )
            for table in self.group.state.by_id
            for partition in partitions
            if table.listed and table.partitioned == (partition is not None)
        ]

    def check(self) -> None:
        verify_group(self.group)

    def close(self) -> None:
        self.store.close()
