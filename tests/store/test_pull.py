"""Catching up in steps, digests, and clearing a copy away."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from store import keys, pulling
from store.errors import DamagedRecord
from store.schema import Table
from store.snapshot import Snapshot
from store.subscribe import Missed
from store.writes import DELETE, MERGE, PUT
from tests.store.peers import Peer, tables

PARTITIONS = (0, 1, 40, None)


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    opened = Peer(tmp_path / "s")
    yield opened
    opened.close()


def fill(peer: Peer) -> None:
    for n in range(10):
        partition = (0, 1, 40)[n % 3]
        peer.put("last", (partition, n), f"value {n}")
        peer.put("whole", (n,), n)
        peer.put("bag", (partition, 0), n)
        peer.put("coloured", (partition, n), "red")
        peer.put("plain", (partition, n), n)
        peer.commit((MERGE, peer.id("merged"), (partition, 0), [n]))
        peer.put("position", (n,), "local")
    peer.delete("last", (0, 0))
    peer.delete("bag", (1, 0))


def pull(peer: Peer, wants: Any, upto: int | None = None, rows: int = 1_000, size: int = 10**6) -> Any:
    with peer.group.snapshot() as reader:
        return reader.pull(wants, upto, rows, size)


# ---- positions --------------------------------------------------------------------------------------


def test_a_snapshot_knows_the_sequence_that_it_sees(peer: Peer) -> None:
    with peer.group.snapshot() as before:
        peer.put("last", (1, 1), 1)
        with peer.group.snapshot() as after:
            assert (before.sequence, after.sequence) == (0, 1)
            assert before.get("last", (1, 1)) is None
            assert after.get("last", (1, 1)) == 1
        assert before.sequence == 0


def test_with_tables_in_memory_a_snapshot_claims_no_more_than_was_there_before_it(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "s", tables("ram"))
    peer.put("last", (1, 1), 1)
    with peer.group.snapshot() as reader:
        assert reader.sequence == 1
        peer.put("last", (1, 2), 2)
        assert reader.sequence == 1
    peer.close()


# ---- pulling ----------------------------------------------------------------------------------------


def test_steps_are_bounded_and_go_on_where_they_ended(peer: Peer) -> None:
    fill(peer)
    wants = [(partition, 0) for partition in PARTITIONS]
    seen: list[tuple[str, bytes]] = []
    steps = 0
    while wants:
        pulled = pull(peer, wants, rows=4)
        assert sum(part.rows for part in pulled.parts) <= 4
        assert [partition for partition, _, _ in pulled.progress] == [partition for partition, _ in wants]
        for part in pulled.parts:
            flat = cbor2.loads(part.blob)
            seen += [(part.table, key) for key in flat[::2]]
        wants = [(partition, through) for partition, through, whole in pulled.progress if not whole]
        steps += 1
    assert len(seen) == len(set(seen))
    assert set(seen) == set(peer.records())
    assert steps > len(seen) / 4


def test_one_row_comes_however_large_it_is(peer: Peer) -> None:
    peer.put("last", (1, 1), b"x" * 5_000)
    peer.put("last", (1, 2), b"y" * 5_000)
    pulled = pull(peer, [(1, 0)], size=10)
    assert sum(part.rows for part in pulled.parts) == 1
    assert pulled.progress == [(1, 1, False)]


def test_a_pull_ends_where_it_is_told_to(peer: Peer) -> None:
    for n in range(5):
        peer.put("last", (1, n), n)
    pulled = pull(peer, [(1, 1), (2, 0)], upto=3)
    assert sum(part.rows for part in pulled.parts) == 2
    assert pulled.progress == [(1, 3, True), (2, 3, True)]
    assert pull(peer, [(1, 5)]).progress == [(1, 5, True)]
    # A position beyond the head is left as it is.
    assert pull(peer, [(1, 9)]).progress == [(1, 9, True)]


def test_partitions_of_one_bucket_that_are_at_different_positions(peer: Peer) -> None:
    for n in range(20):
        peer.put("last", (n % 2, n), n)
    pulled = pull(peer, [(0, 15), (1, 2)])
    rows = {part.partition: part.rows for part in pulled.parts}
    assert rows == {0: 2, 1: 9}


def test_looking_at_the_entries_of_neighbours_is_bounded_too(
    peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer.commit(*((PUT, peer.id("last"), (0, n), n) for n in range(20)))
    peer.put("last", (1, 1), "mine")
    monkeypatch.setattr(pulling, "PULL_SCAN_MAX", 8)
    want, rows, steps = (1, 0), 0, 0
    while True:
        pulled = pull(peer, [want])
        rows += sum(part.rows for part in pulled.parts)
        ((_, through, whole),) = pulled.progress
        steps += 1
        if whole:
            break
        assert through > want[1]
        want = (1, through)
    assert (rows, steps) == (1, 3)


def test_damaged_records_are_passed_over_and_named(peer: Peer) -> None:
    for n in range(3):
        peer.put("last", (1, n), n)
    place = peer.group.table("last").state.place
    with peer.group.state.environment.env.begin(write=True) as transaction:
        key = keys.encode((1, 1))
        raw = bytearray(transaction.get(key, db=place) or b"")
        raw[-6] ^= 1
        transaction.put(key, bytes(raw), db=place)
    pulled = pull(peer, [(1, 0)])
    assert pulled.damaged == [("last", keys.encode((1, 1)))]
    assert pulled.progress == [(1, 3, True)]
    assert [part.rows for part in pulled.parts] == [2]


def test_partitions_that_are_held(peer: Peer) -> None:
    assert peer.group.partitions_held() == []
    peer.put("position", (5,), "local")
    assert peer.group.partitions_held() == []
    for partition in (300, 2, 1_000):
        peer.put("last", (partition, 1), 0)
    peer.delete("buried_merged", (7, 1))
    assert peer.group.partitions_held() == [2, 7, 300, 1_000]
    peer.put("whole", (1,), 0)
    assert peer.group.partitions_held() == [None, 2, 7, 300, 1_000]
    assert peer.group.partitions_held(2) == [None, 2]


# ---- digests ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["disc", "ram"])
def test_digests_are_equal_whoever_stores_the_records(tmp_path: Path, storage: str) -> None:
    source, target = (Peer(tmp_path / name, tables(storage)) for name in ("source", "target"))
    fill(source)
    target.put("plain", (70, 1), "so that local sequences differ")
    target.pull_from(source, dict.fromkeys(PARTITIONS, 0))
    assert target.digests(PARTITIONS) == source.digests(PARTITIONS)
    before = target.digests(PARTITIONS)
    target.put("last", (1, 1), "value 1")  # the same value, another version
    assert target.digests(PARTITIONS) != before
    source.close()
    target.close()


def test_a_partition_is_digested_in_ranges_and_a_difference_shows_in_its_range(
    tmp_path: Path, peer: Peer
) -> None:
    other = Peer(tmp_path / "other")
    peer.commit(*((PUT, peer.id("last"), (1, n), n) for n in range(10)))
    peer.commit(*((DELETE, peer.id("last"), (1, n)) for n in (2, 7, 9)))
    other.pull_from(peer, {1: 0})
    other.delete("last", (1, 5))
    other.put("last", (1, 100), "one more, at the end")

    def compare() -> list[bool]:
        after, equal = b"", []
        while True:
            count, digest, last = peer.transact(
                lambda transaction, a=after: transaction.digest("last", 1, a, 3)
            )
            theirs = other.transact(
                lambda transaction, a=after, upto=last: transaction.digest_upto("last", 1, a, upto)
            )
            equal.append(theirs == (count, digest))
            if last is None:
                return equal
            after = last

    assert compare() == [True, False, False]
    peer.pull_from(other, {1: 0})
    assert compare() == [True, True, True]
    limited = other.transact(lambda transaction: transaction.digest_upto("last", 1, b"", None, 4))
    assert limited[0] == 4
    other.close()


def test_a_digest_does_not_vouch_for_a_damaged_record(peer: Peer) -> None:
    peer.put("last", (1, 1), "x")
    place = peer.group.table("last").state.place
    with peer.group.state.environment.env.begin(write=True) as transaction:
        raw = bytearray(transaction.get(keys.encode((1, 1)), db=place) or b"")
        raw[-6] ^= 1
        transaction.put(keys.encode((1, 1)), bytes(raw), db=place)
    with pytest.raises(DamagedRecord):
        peer.digests([1])


# ---- clearing ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("storage", ["disc", "ram"])
def test_clearing_a_partition_leaves_nothing_of_it_and_all_of_the_others(
    tmp_path: Path, storage: str
) -> None:
    peer = Peer(tmp_path / "s", [*tables(storage), Table("mine", local_content=True)])
    fill(peer)
    peer.put("mine", (0, 1), "stays")
    everything = peer.records()
    tapped, sequence = len(peer.tapped), peer.group.sequence
    with peer.group.table("last").subscribe() as subscription:
        steps = 1
        while peer.transact(lambda transaction: transaction.clear(0, 3)):
            steps += 1
            peer.check()
        assert [type(one) for one in subscription.take()] == [Missed]
    assert steps > 4
    peer.check()
    prefix = keys.encode((0,))
    left = {
        place: record for place, record in everything.items() if place[0] == "whole" or place[1][:1] != prefix
    }
    assert len(left) < len(everything)
    assert peer.records() == left
    assert peer.group.changes(0) == []
    assert [key[0] for key, _ in peer.group.table("coloured").index("colour", ("red",))].count(0) == 0
    assert peer.group.table("mine").get((0, 1)) == "stays"
    assert (len(peer.tapped), peer.group.sequence) == (tapped, sequence)
    assert peer.group.partitions_held() == [None, 1, 40]
    while peer.transact(lambda transaction: transaction.clear(None, 100)):
        pass
    assert peer.group.table("whole").count() == 0
    peer.check()
    peer.close()


def test_what_was_cleared_comes_back_with_a_pull(tmp_path: Path, peer: Peer) -> None:
    other = Peer(tmp_path / "other")
    fill(peer)
    other.pull_from(peer, dict.fromkeys(PARTITIONS, 0))
    peer.transact(lambda transaction: transaction.clear(0, 1_000))
    peer.pull_from(other, {0: 0})
    assert peer.records() == other.records()
    peer.check()
    other.close()


def test_the_snapshot_is_what_the_reader_of_a_cold_group_is_given(peer: Peer) -> None:
    peer.put("last", (1, 1), 1)
    found: list[Any] = []
    peer.group.read(lambda reader: reader.pull([(1, 0)], None, 10, 1_000), found.append)
    assert isinstance(peer.group.snapshot(), Snapshot)
    assert found[0].value.progress == [(1, 1, True)]
