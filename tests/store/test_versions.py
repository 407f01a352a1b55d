"""Versions: what one node wrote and another applied comes to the same everywhere, in any order."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import trio
from hypothesis import HealthCheck, given, settings

from store.changes import Change
from store.record import Version
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.verify import verify_group
from store.writes import APPLY, DELETE, MERGE, PUT, REMOVE
from tests.store.worlds import MEMORY


def union(old: Any, new: Any) -> Any:
    return sorted({*(old or []), *new})


def groups(storage: Any) -> list[Group]:
    return [
        Group(
            "g",
            (
                Table("last", storage=storage, tombstones=True),
                Table("merged", storage=storage, merge=union),
                Table("bag", kind="bag", storage=storage, tombstones=True),
            ),
        )
    ]


def commit(store: Store, *writes: Any) -> None:
    results: list[Result] = []
    store.group("g").submit(list(writes), results.append)
    store.deliver_results()
    assert results[0].error is None, results[0].error


def as_write(store: Store, change: Change) -> tuple[Any, ...]:
    """A change as it would travel to another node."""
    table = store.group("g").table(change.table)
    record = change.record
    value = change.digest if record.tombstone and change.digest else record.value
    return (APPLY, table.id, change.key, value, record.version, record.tombstone)


def catch_up(source: Store, target: Store, after: int) -> int:
    """Everything of the partitions from a cursor on, in small pages; gives the new cursor."""
    end = source.group("g").sequence
    for partition in (0, 40):
        cursor = after
        while changes := source.group("g").changes(partition, cursor, 3):
            commit(target, *(as_write(source, change) for change in changes))
            cursor = changes[-1].sequence
    return end


def state(store: Store) -> Any:
    """All live rows and tombstones with their versions, whichever node they came from."""
    return sorted(
        (change.table, repr(change.key), change.digest, repr(change.record.value), change.record.version)
        for partition in (0, 40)
        for change in store.group("g").changes(partition, limit=10_000)
    )


writes = st.one_of(
    st.tuples(st.just(PUT), st.just(0), st.integers(0, 3), st.integers(0, 99)),
    st.tuples(st.just(DELETE), st.just(0), st.integers(0, 3)),
    st.tuples(st.just(MERGE), st.just(1), st.integers(0, 3), st.lists(st.integers(0, 5), max_size=2)),
    st.tuples(st.just(PUT), st.just(2), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just(REMOVE), st.just(2), st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.just(DELETE), st.just(2), st.integers(0, 2)),
)
steps = st.lists(st.tuples(st.integers(0, 2), writes | st.just("catch up"), st.integers(0, 1)), max_size=40)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps, st.tuples(*[st.integers(0, 3)] * 3), st.sampled_from(["disc", "ram"]))
def test_nodes_that_exchange_their_changes_agree(steps: Any, epochs: Any, storage: str) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        nodes = [Store.open(Path(folder) / str(n), groups(storage), committer="inline") for n in range(3)]
        for node, epoch in zip(nodes, epochs, strict=True):
            node.group("g").epochs = lambda partition, epoch=epoch: epoch  # type: ignore[misc]
        cursors = {(one, other): 0 for one in range(3) for other in range(3)}

        def exchange(source: int, target: int) -> None:
            cursors[source, target] = catch_up(nodes[source], nodes[target], cursors[source, target])

        for at, what, other in steps:
            if what == "catch up":
                exchange((at + 1 + other) % 3, at)
            else:
                partition = 40 * (what[2] % 2)
                commit(nodes[at], (what[0], what[1], (partition, what[2]), *what[3:]))
        for _ in range(2):
            for source in range(3):
                for target in range(3):
                    if source != target:
                        exchange(source, target)
        for node in nodes:
            verify_group(node.group("g"))
        assert state(nodes[0]) == state(nodes[1]) == state(nodes[2])
        # And once all is known, there is nothing more to take in.
        before = [node.group("g").sequence for node in nodes]
        catch_up(nodes[0], nodes[1], 0)
        catch_up(nodes[1], nodes[2], 0)
        assert [node.group("g").sequence for node in nodes] == before
        for node in nodes:
            node.close()


def test_the_higher_version_wins_and_the_lower_is_ignored(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", groups("disc"), committer="inline") as store:
        table = store.group("g").table("last")
        key = (1, "k")
        for version, tombstone, value, seen in [
            (Version(3, 10, 5), False, "first", "first"),
            (Version(3, 9, 99), False, "older", "first"),
            (Version(3, 10, 5), False, "same version", "first"),
            (Version(3, 10, 6), False, "tie broken by incarnation", "tie broken by incarnation"),
            (Version(2, 999, 9), True, None, "tie broken by incarnation"),
            (Version(4, 1, 1), True, None, None),
            (Version(3, 500, 1), False, "before the tombstone", None),
            (Version(4, 2, 1), False, "after it", "after it"),
        ]:
            commit(store, (APPLY, table.id, key, value, version, tombstone))
            assert table.get(key) == seen
            verify_group(store.group("g"))


def test_a_write_here_is_newer_than_what_it_overwrites(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", groups("disc"), committer="inline") as store:
        table = store.group("g").table("last")
        key = (1, "k")
        commit(store, (APPLY, table.id, key, "theirs", Version(9, 1_000, 2**64 - 1), False))
        seen = [table.record(key)]
        for write in (
            (PUT, 0, key, "ours"),
            (PUT, 0, key, "again"),
            (DELETE, 0, key),
            (DELETE, 0, key),
            (PUT, 0, key, 1),
        ):
            commit(store, write)
            seen.append(table.record(key))
        versions = [record.version for record in seen if record is not None]
        assert len(versions) == 6
        assert versions == sorted(set(versions))
        assert [version.epoch for version in versions] == [9, 10, 10, 10, 10, 10]


async def test_tombstones_are_purged_by_age_and_by_what_peers_have(tmp_path: Path) -> None:
    now = [1_000.0]
    with Store.open(tmp_path / "s", groups("disc"), committer="thread", clock=lambda: now[0]) as store:
        group = store.group("g")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            for start in range(0, 3_000, 1_000):
                keys = [(n % 3, n) for n in range(start, start + 1_000)]
                await group.commit([(PUT, 0, key, 0) for key in keys])
                await group.commit([(DELETE, 0, key) for key in keys])
                now[0] += 10
            middle = group.changes(0, limit=5_000)[500].sequence
            assert await group.purge_tombstones("last", before_ms=1_000_000) == 0
            assert await group.purge_tombstones("last", before_ms=1_010_000) == 1_000
            left = [
                change.sequence for partition in range(3) for change in group.changes(partition, limit=9_000)
            ]
            assert len(left) == 2_000
            gone = sum(sequence < middle for sequence in left)
            assert await group.purge_tombstones("last", before_ms=10**9, before_sequence=middle) == gone > 0
            assert await group.purge_tombstones("last", before_ms=10**9) == 2_000 - gone
            nursery.cancel_scope.cancel()
        verify_group(group)
        assert group.changes(0) == []
