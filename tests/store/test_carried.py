"""Other nodes' records: refused whole or applied whole, with all that hangs on them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from store import keys, record
from store.carried import Opened, count_rows, pieces
from store.errors import DamagedPart, StoreError, TableReadOnly, UnknownTable
from store.floor import PROBE_EVERY
from store.record import Version
from store.results import Result
from store.schema import Table
from store.subscribe import Changed, Deleted
from store.tapping import GONE, Part
from store.writes import DELETE, MERGE, PUT
from tests.store.peers import Peer, tables


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(tmp_path / "source")
    yield peer
    peer.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(tmp_path / "target")
    yield peer
    peer.close()


def part(table: str, partition: int | None, *rows: tuple[Any, bytes]) -> Part:
    flat = [one for key, original in rows for one in (keys.encode(key), original)]
    return Part(partition, table, cbor2.dumps(flat), len(rows))


def made(key: Any, version: Version, value: Any, *, tombstone: bool = False) -> bytes:
    flags = record.TOMBSTONE if tombstone else 0
    return record.pack(keys.encode(key), flags, *version, record.encode_value(value))


# ---- what is refused --------------------------------------------------------------------------------


@given(st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_damaged_blob_is_refused_whole(tmp_path_factory: Any, data: Any) -> None:
    folder = tmp_path_factory.mktemp("peers")
    source, target = Peer(folder / "source"), Peer(folder / "target")
    source.commit(
        (PUT, source.id("last"), (1, "a"), "first"),
        (PUT, source.id("last"), (1, "b"), "second"),
        (PUT, source.id("merged"), (1, "c"), [3]),
    )
    good = source.tapped[0].parts
    which = data.draw(st.integers(0, len(good) - 1))
    blob = bytearray(good[which].blob)
    if data.draw(st.booleans()):
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    else:
        blob[data.draw(st.integers(0, len(blob) - 1))] ^= data.draw(st.integers(1, 255))
    bad = [*good[:which], good[which]._replace(blob=bytes(blob)), *good[which + 1 :]]
    with pytest.raises(StoreError) as caught:
        target.apply(bad, (PUT, target.id("position"), (1,), "a position"))
    assert isinstance(caught.value, DamagedPart)
    assert caught.value.remedy in str(caught.value)
    assert target.records() == {}
    assert target.group.table("position").count() == 0
    assert target.group.sequence == 0
    assert target.apply(good).value == 3
    source.close()
    target.close()


@pytest.mark.parametrize("blob", [b"", b"\x00", cbor2.dumps({}), cbor2.dumps([b"k"]), cbor2.dumps([1, 2])])
def test_a_blob_that_holds_something_else_is_refused(target: Peer, blob: bytes) -> None:
    with pytest.raises(DamagedPart):
        target.apply([(1, "last", blob)])


def test_an_unknown_table_is_named_and_so_is_one_with_local_content(target: Peer) -> None:
    for table, partition in (("nowhere", 1), ("position", None)):
        with pytest.raises(UnknownTable, match=table):
            target.apply([part(table, partition, ((1, 1), made((1, 1), Version(1, 1, 1), 0)))])
    assert target.records() == {}


@pytest.mark.parametrize(
    ("table", "partition"), [("last", 2), ("last", None), ("whole", 1), ("last", -1), ("last", "x")]
)
def test_keys_must_be_of_the_partition_that_the_part_names(target: Peer, table: str, partition: Any) -> None:
    with pytest.raises(DamagedPart, match=table):
        target.apply([part(table, partition, ((1, 1), made((1, 1), Version(1, 1, 1), 0)))])


def test_one_that_is_refused_spoils_no_other_of_its_commit(source: Peer, target: Peer) -> None:
    source.put("last", (1, 1), "good")
    results: list[Result] = []
    good = [tuple(one[:3]) for one in source.tapped[0].parts]
    target.group.submit([(PUT, target.id("plain"), (1, 1), "before")], results.append)
    target.group.submit_parts([(1, "last", b"torn")], [], results.append)
    target.group.submit_parts(good, [], results.append)  # type: ignore[arg-type]
    target.store.deliver_results()
    assert [type(result.error) for result in results] == [type(None), DamagedPart, type(None)]
    assert target.group.table("last").get((1, 1)) == "good"
    assert target.group.table("plain").get((1, 1)) == "before"


def test_own_writes_of_a_submit_of_parts_are_checked_when_they_are_given(target: Peer) -> None:
    target.group.table("position").set_read_only(True)
    with pytest.raises(TableReadOnly):
        target.group.submit_parts([], [(PUT, target.id("position"), (1,), 0)], lambda result: None)
    assert target.group.queue_length == 0


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 5))
def test_pieces_are_bounded_and_are_all_there_is(sizes: list[int], rows: int) -> None:
    table: Any = None
    opened = [
        Opened(table, bytes([at]), [b"%d" % n for n in range(2 * size)]) for at, size in enumerate(sizes)
    ]
    found = list(pieces(opened, rows))
    assert all(0 < sum(len(part.rows) for part in piece) <= 2 * rows for piece in found)
    assert len(found) == -(-sum(sizes) // rows)
    together: dict[bytes, list[bytes]] = {part.partition: [] for part in opened}
    for piece in found:
        for part in piece:
            assert len(part.rows) % 2 == 0
            together[part.partition] += part.rows
    assert list(together.values()) == [part.rows for part in opened]


def test_a_large_part_is_applied_while_the_loop_stands_still_now_and_then(
    source: Peer, tmp_path: Path
) -> None:
    target = Peer(tmp_path / "threaded", committer="thread")
    last = source.id("last")
    results: list[Result] = []
    rounds = 3
    for value in range(rounds):
        source.commit(*((PUT, last, (1, n), value) for n in range(700)))
        assert target.group.floor is not None
        target.group.floor.until_probe = PROBE_EVERY
        parts = [tuple(one[:3]) for one in source.tapped[-1].parts]
        target.group.submit_parts(parts, [], results.append)  # type: ignore[arg-type]
        deadline = time.monotonic() + 60
        while len(results) <= value:
            target.store.deliver_results()
            assert time.monotonic() < deadline
    assert [(result.error, result.value) for result in results] == [(None, 700)] * rounds
    assert target.group.statistics()["floor_grants"] >= rounds
    assert target.records() == source.records()
    target.check()
    target.close()


def test_rows_of_a_blob_are_counted_without_reading_it() -> None:
    for rows in (0, 1, 11, 12, 200, 40_000):
        assert count_rows(cbor2.dumps([b"k", b"r"] * rows)) == max(rows, 1)
    assert count_rows(b"") == count_rows(b"\x9f") == count_rows(cbor2.dumps("text")) == 1


# ---- who is newer -----------------------------------------------------------------------------------


def test_the_higher_version_wins_whichever_comes_first(target: Peer) -> None:
    key = (1, "k")
    for version, tombstone, value, seen, changed in [
        (Version(3, 10, 5), False, "first", "first", 1),
        (Version(3, 9, 99), False, "older", "first", 0),
        (Version(3, 10, 5), False, "same version", "first", 0),
        (Version(3, 10, 6), False, "tie broken by incarnation", "tie broken by incarnation", 1),
        (Version(2, 999, 9), True, 0, "tie broken by incarnation", 0),
        (Version(4, 1, 1), True, 0, None, 1),
        (Version(3, 500, 1), False, "before the tombstone", None, 0),
        (Version(4, 2, 1), False, "after it", "after it", 1),
    ]:
        original = made(key, version, value, tombstone=tombstone)
        before = target.group.sequence
        result = target.apply([part("last", 1, (key, original))])
        assert (result.value, result.sequence) == (changed, before + changed)
        assert target.group.table("last").get(key) == seen
        target.check()


def test_a_write_here_is_newer_than_the_record_that_was_carried_here(target: Peer) -> None:
    key = (1, "k")
    theirs = Version(9, 1_000, 2**64 - 1)
    target.apply([part("last", 1, (key, made(key, theirs, "theirs")))])
    target.put("last", key, "ours")
    found = target.group.table("last").record(key)
    assert found is not None
    assert found.value == "ours"
    assert found.version > theirs
    target.check()


def test_a_tombstone_and_a_merge_come_to_the_same_in_any_order(tmp_path: Path) -> None:
    key = (1, "k")
    first = made(key, Version(1, 1, 1), [1])
    dead = made(key, Version(1, 2, 2), 0, tombstone=True)
    later = made(key, Version(1, 3, 3), [3])
    for at, (order, seen) in enumerate(
        [
            ((first, dead), None),
            ((dead, first), None),
            ((dead, later), [3]),
            ((later, dead), [3]),
            ((first, later), [1, 3]),
            ((later, first), [1, 3]),
        ]
    ):
        peer = Peer(tmp_path / str(at))
        for original in order:
            peer.apply([part("buried_merged", 1, (key, original))])
        assert peer.group.table("buried_merged").get(key) == seen
        peer.check()
        peer.close()


def test_a_delete_without_a_tombstone_is_believed_only_from_a_stream(source: Peer, target: Peer) -> None:
    source.put("plain", (1, 1), "x")
    source.delete("plain", (1, 1))
    put, delete = source.tapped
    assert cbor2.loads(delete.parts[0].blob)[1] == GONE
    target.apply(put.parts)
    assert target.apply(delete.parts).value == 0
    assert target.group.table("plain").get((1, 1)) == "x"
    assert target.apply(delete.parts, trusted=True).value == 1
    assert target.group.table("plain").get((1, 1)) is None
    assert target.apply(delete.parts, trusted=True).value == 0
    target.check()


# ---- what hangs on records --------------------------------------------------------------------------


def test_indexes_are_kept_on_the_applying_side(source: Peer, target: Peer) -> None:
    table = target.group.table("coloured")
    steps: list[tuple[list[tuple[Any, ...]], list[str]]] = [
        ([(PUT, (1, "a"), "red"), (PUT, (1, "b"), "blue")], ["a"]),
        ([(PUT, (1, "b"), "red")], ["a", "b"]),
        ([(DELETE, (1, "a"))], ["b"]),
    ]
    for writes, red in steps:
        source.commit(*((op, source.id("coloured"), *rest) for op, *rest in writes))
        target.apply(source.tapped[-1].parts)
        assert [key[1] for key, _ in table.index("colour", ("red",))] == red
        target.check()


def test_subscribers_hear_of_applied_records_but_not_of_those_that_changed_nothing(
    source: Peer, target: Peer
) -> None:
    source.put("last", (1, 1), ["value"])
    source.delete("last", (1, 1))
    with target.group.table("last").subscribe() as subscription:
        for commit in (source.tapped[0], source.tapped[0], source.tapped[1], source.tapped[1]):
            target.apply(commit.parts)
        assert subscription.take() == [Changed((1, 1), ["value"], 1), Deleted((1, 1), 2)]


def settle(transaction: Any, touched: Any, met: Any) -> None:
    """Rows of `last` whose key is in a set of `merged` go; what was touched is noted in `position`."""
    for table, key in touched:
        rows = transaction.prefix("last", key[:1]) if table == "merged" else [(key, None)]
        gone = transaction.get("merged", (key[0], "gone")) or []
        for row, _ in rows:
            if row[1] in gone and transaction.get("last", row) is not None:
                transaction.delete("last", row)
    transaction.put("position", ("touched",), [[table, list(key)] for table, key in touched])
    if any(key[1] == "forbidden" for _, key in touched):
        raise LookupError("reconcile failed")


def test_reconcile_runs_in_the_same_transaction_with_what_was_touched(source: Peer, tmp_path: Path) -> None:
    target = Peer(tmp_path / "reconciling", reconcile=settle)
    assert target.group.declaration.reconcile is settle
    source.commit((PUT, source.id("last"), (1, 5), "a message"), (PUT, source.id("bag"), (1, 1), "x"))
    target.apply(source.tapped[0].parts)
    assert target.group.table("position").get(("touched",)) == [["last", [1, 5]], ["bag", [1, 1]]]
    source.commit((MERGE, source.id("merged"), (1, "gone"), [5]))
    seen = len(target.tapped)
    target.apply(source.tapped[1].parts, (PUT, target.id("position"), ("cursor",), 2))
    assert len(target.tapped) == seen + 1, "one commit"
    assert target.group.table("last").get((1, 5)) is None
    assert target.group.table("position").get(("cursor",)) == 2
    # Nothing changed: not called again.
    target.put("position", ("touched",), None)
    target.apply(source.tapped[1].parts)
    assert target.group.table("position").get(("touched",)) is None
    target.check()
    target.close()


def test_when_reconcile_raises_nothing_of_the_submit_stays(source: Peer, tmp_path: Path) -> None:
    target = Peer(tmp_path / "reconciling", reconcile=settle)
    source.put("last", (1, "forbidden"), 0)
    with pytest.raises(LookupError):
        target.apply(source.tapped[0].parts, (PUT, target.id("position"), ("cursor",), 2))
    assert target.records() == {}
    assert target.group.table("position").count() == 0
    assert target.tapped == []
    target.check()
    target.close()


def test_a_merge_that_raises_spoils_only_its_submit(tmp_path: Path) -> None:
    def grumpy(old: Any, new: Any) -> Any:
        raise ValueError("a body")

    declared = (Table("sum", merge=grumpy), Table("last"))
    source, target = Peer(tmp_path / "source", declared), Peer(tmp_path / "target", declared)
    source.put("sum", (1, 1), 1)
    target.put("sum", (1, 1), 2)
    results: list[Result] = []
    target.group.submit([(PUT, target.id("last"), (1, 1), "fine")], results.append)
    carried = [tuple(one[:3]) for one in source.tapped[0].parts]
    target.group.submit_parts(carried, [], results.append)  # type: ignore[arg-type]
    target.store.deliver_results()
    assert [type(result.error) for result in results] == [type(None), ValueError]
    assert target.group.table("last").get((1, 1)) == "fine"
    for peer in (source, target):
        peer.close()


def test_parts_are_applied_though_the_table_takes_no_writes_here(source: Peer, tmp_path: Path) -> None:
    declared = [Table("last", tombstones=True, read_only=True), *tables()[1:]]
    target = Peer(tmp_path / "target", declared)
    source.put("last", (1, 1), "x")
    target.apply(source.tapped[0].parts)
    assert target.group.table("last").get((1, 1)) == "x"
    target.close()
