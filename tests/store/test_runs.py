"""Runs of rows come to the same as the rows one by one; stale entries of `changes` go, however a process ends."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cbor2
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from store import keys, record
from store.limits import STALE_MIN, STALE_PER_LIVE
from store.record import Version
from store.stale import Stale, read_log
from store.writes import DELETE, PUT
from tests.store.peers import Peer, tables
from tests.store.worlds import GROUP, MEMORY, Crashing

NAMES = [table.name for table in tables()]
PUTS = ("last", "whole", "plain", "position", "coloured", "bag")


def key_of(name: str, number: int) -> Any:
    return (number,) if name in ("whole", "position") else ((0, 1, 40, 300)[number % 4], number)


@st.composite
def some_puts(draw: Any) -> list[Any]:
    names = draw(st.sampled_from([[name] for name in PUTS]) | st.just(PUTS))
    picked = st.tuples(st.sampled_from(names), st.integers(0, 7), st.integers(0, 2))
    return [
        (PUT, NAMES.index(name), key_of(name, number), value)
        for name, number, value in draw(st.lists(picked, min_size=1, max_size=25))
    ]


some_deletes = st.lists(
    st.builds(
        lambda name, number: (DELETE, NAMES.index(name), key_of(name, number)),
        st.sampled_from(PUTS[:3]),
        st.integers(0, 7),
    ),
    max_size=3,
)
# A record of another node with any version, in a table that is also written here.
foreign = st.tuples(st.integers(0, 7), st.integers(0, 4), st.booleans())


def carried(table: str, number: int, epoch: int, *, tombstone: bool = False) -> tuple[Any, str, bytes]:
    key = keys.encode(key_of(table, number))
    flags = record.TOMBSTONE if tombstone else 0
    packed = record.pack(key, flags, epoch, 10**6, 5, record.encode_value(number))
    return key_of(table, number)[0] if table == "last" else None, table, cbor2.dumps([key, packed])


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.lists(foreign, max_size=3), some_deletes, some_puts()), max_size=4),
    st.sampled_from(["disc", "ram"]),
    st.integers(0, 3),
)
def test_puts_of_a_run_are_the_puts_one_by_one(rounds: Any, storage: str, epoch: int) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        one, many = (
            Peer(Path(folder) / name, tables(storage), epoch=epoch, identity=lambda: 9, clock=lambda: 5.0)
            for name in ("one", "many")
        )
        heard = [peer.group.table("last").subscribe() for peer in (one, many)]
        for others, deletes, puts in rounds:
            for peer in (one, many):
                for number, theirs, tombstone in others:
                    peer.apply([carried("last", number, theirs, tombstone=tombstone)])
                peer.commit(*deletes)
            for put in puts:
                one.commit(put)
            for start in range(0, len(puts), 10):
                # In several submits, which the committer puts together.
                many.group.submit(puts[start : start + 10], lambda result: None)
            many.store.deliver_results()
            assert one.group.sequence == many.group.sequence
        for peer in (one, many):
            peer.check()
        assert one.records() == many.records()
        assert values(one) == values(many)
        assert heard[0].take() == heard[1].take()
        for partition in (0, 1, 40, 300, None):
            of_one, of_many = (peer.group.changes(partition) for peer in (one, many))
            assert [(c.table, c.key, c.sequence) for c in of_one] == [
                (c.table, c.key, c.sequence) for c in of_many
            ]
        target = Peer(Path(folder) / "target", tables(storage))
        for commit in many.tapped:
            target.apply(commit.parts, trusted=True)
        assert target.records() == many.records()
        for peer in (one, many, target):
            peer.close()


def values(peer: Peer) -> Any:
    with peer.group.snapshot() as reader:
        return [reader.range(name) for name in NAMES]


some_records = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 3), st.booleans()), min_size=1, max_size=30
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(some_records, max_size=4), st.booleans(), st.sampled_from(["disc", "ram"]))
def test_records_taken_in_a_run_are_those_taken_one_by_one(rounds: Any, mine: bool, storage: str) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        one, many = (Peer(Path(folder) / name, tables(storage)) for name in ("one", "many"))
        for some in rounds:
            if mine:
                for peer in (one, many):
                    peer.put("last", key_of("last", some[0][0]), "written here")
            for number, epoch, tombstone in some:
                one.apply([carried("last", number, epoch, tombstone=tombstone)], trusted=True)
            flat: dict[Any, list[bytes]] = {}
            for number, epoch, tombstone in some:
                partition, _, blob = carried("last", number, epoch, tombstone=tombstone)
                flat.setdefault(partition, []).extend(cbor2.loads(blob))
            many.apply([(partition, "last", cbor2.dumps(rows)) for partition, rows in flat.items()])
        for peer in (one, many):
            peer.check()
        assert {place: raw for place, raw in one.records().items() if not mine} == {
            place: raw for place, raw in many.records().items() if not mine
        }
        assert values(one) == values(many)
        for peer in (one, many):
            peer.close()


def test_a_run_that_overwrites_what_was_carried_is_newer_than_all_of_it(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "s", epoch=1)
    for number in range(6):
        peer.apply([carried("last", number, number)])
    peer.apply([carried("last", 6, 4, tombstone=True)])
    peer.commit(*((PUT, peer.id("last"), key_of("last", number), "ours") for number in range(8)))
    for number in range(7):
        found = peer.group.table("last").record(key_of("last", number))
        assert found is not None
        assert found.value == "ours"
        assert found.version > Version(min(number, 4), 10**6, 5)
    peer.check()
    peer.close()


# ---- stale entries ----------------------------------------------------------------------------------


def log_rows(world: Any) -> int:
    with world.group.snapshot() as reader:
        return len(list(read_log(reader.transaction, world.group.state.places.stale.log)))


@pytest.mark.parametrize("rows", [1, 50])
def test_stale_entries_are_few_however_often_rows_are_overwritten(tmp_path: Path, rows: int) -> None:
    peer = Peer(tmp_path / "s")
    peer.group.tap = None
    live = 400
    last = peer.id("last")
    most = 0
    for at in range(0, 8 * STALE_MIN if rows > 1 else 2 * STALE_MIN, rows):
        peer.commit(*((PUT, last, (1, n * 17 % live), at) for n in range(at, at + rows)))
        if at % 500 == 0:
            with peer.group.snapshot() as reader:
                most = max(most, reader.listed()[0].count())
    assert live + STALE_MIN // 2 < most <= live + 2 * max(STALE_MIN, most // STALE_PER_LIVE) + 2 * rows
    assert log_rows(peer) <= 3 * STALE_MIN / min(rows, 40) + 40
    peer.check()
    assert len(peer.group.changes(1, limit=10_000)) == live
    peer.close()


def test_what_is_stale_goes_though_the_process_ends_in_between() -> None:
    world = Crashing()
    for n in range(3 * STALE_MIN):
        world.group.submit(
            [(PUT, 0, (1, n % 3), n), (DELETE, 0, (1, 9)), (PUT, 0, (1, 9), n)], lambda _: None
        )
        world.store.deliver_results()
        if n % 900 == 450:
            world.crash() if n % 1800 == 450 else world.reopen()
    assert world.store.group(GROUP).state.places.stale.kept == 0
    with world.group.snapshot() as reader:
        assert reader.listed()[0].count() <= 4 + 3 * STALE_MIN
    assert [change.sequence for change in world.group.changes(1)] == sorted(
        world.group.table("simple").record(key).local_sequence for key in ((1, 0), (1, 1), (1, 2), (1, 9))
    )
    world.end()


def test_an_entry_that_is_gone_already_is_no_matter(tmp_path: Path) -> None:
    """After a crash the whole of a log is gone through again, though some of it was done."""
    peer = Peer(tmp_path / "s")
    stale = Stale()
    stale.load(peer.group.state.environment)
    fresh = [b"\0\0" + n.to_bytes(8, "big") + b"\0key" for n in range(STALE_MIN)]
    places = peer.group.state.places
    for _ in range(3):
        with peer.group.state.environment.env.begin(write=True) as transaction:
            number = stale.note(transaction, places.changes, fresh)
        stale.done(fresh, number, 0)
    assert stale.kept == 0
    peer.close()
