"""A transaction's writes that wait for its end: nobody can tell them from writes that don't."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.errors import DamagedRecord, MapFull
from store.match import ANY, Match
from store.results import Result
from store.schema import Group, Table
from store.store import Store
from store.submit import Call
from store.transaction import Transaction
from tests.store.peers import Peer, tables

TABLES = ("last", "merged", "buried_merged", "bag", "coloured", "plain")
KEYS = st.tuples(st.just(0), st.integers(0, 1))


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    opened = Peer(tmp_path / "s")
    yield opened
    opened.close()


def test_what_is_written_is_seen_before_it_is_applied(peer: Peer) -> None:
    peer.put("last", (1, 1), "before")
    peer.put("last", (1, 2), "before")

    def fn(transaction: Transaction) -> list[Any]:
        transaction.put("last", (1, 1), "mine")
        transaction.delete("last", (1, 2))
        seen = [transaction.get("last", (1, n)) for n in (1, 2, 3)]
        transaction.put("last", (1, 2), "again")
        return [*seen, transaction.get("last", (1, 2)), transaction.range("last")]

    assert peer.transact(fn) == ["mine", None, None, "again", [((1, 1), "mine"), ((1, 2), "again")]]
    assert peer.group.table("last").get((1, 2)) == "again"


def test_a_version_that_is_read_is_the_one_that_is_kept(peer: Peer) -> None:
    def fn(transaction: Transaction) -> Any:
        transaction.put("last", (1, 1), "mine")
        return transaction.record("last", (1, 1))

    assert peer.transact(fn) == peer.group.table("last").record((1, 1))


def test_a_function_that_raises_has_written_nothing_and_what_is_committed_with_it_stands(peer: Peer) -> None:
    def good(transaction: Transaction, n: int) -> None:
        transaction.put("last", (1, n), n)

    def bad(transaction: Transaction, scan: bool) -> None:
        transaction.put("last", (1, 0), "bad")
        if scan:
            transaction.range("last")
        transaction.put("last", (1, 9), "bad")
        raise KeyError("no")

    results: list[Any] = []
    peer.group.submit_transaction(results.append, good, 1)
    peer.group.submit_transaction(results.append, bad, False)
    peer.group.submit_transaction(results.append, bad, True)
    peer.group.submit_transaction(results.append, good, 2)
    peer.store.deliver_results()
    assert [type(result.error) for result in results] == [type(None), KeyError, KeyError, type(None)]
    with peer.group.snapshot() as reader:
        assert reader.range("last") == [((1, 1), 1), ((1, 2), 2)]
    assert len(peer.tapped) == 1
    assert peer.group.sequence == 2


def test_a_damaged_record_under_a_write_fails_that_transaction_alone(peer: Peer) -> None:
    peer.put("coloured", (1, 1), "red")
    state = peer.group.table("coloured").state

    def damage(transaction: Transaction) -> None:
        _, rows = transaction.stored("coloured")
        rows.put(next(iter(rows.scan(b"", b"\xff", 1)))[0], b"short")

    peer.transact(damage)
    results: list[Any] = []
    for n in (1, 2):
        peer.group.submit_transaction(results.append, lambda t, n=n: t.put(state, (1, n), "blue"))
    peer.store.deliver_results()
    assert [type(result.error) for result in results] == [DamagedRecord, type(None)]
    assert peer.group.table("coloured").get((1, 2)) == "blue"


@st.composite
def step(draw: Any) -> Any:
    table = draw(st.sampled_from(TABLES))
    key = draw(KEYS)
    values = st.lists(st.integers(0, 3), max_size=2) if "merged" in table else st.integers(0, 3)
    what = draw(
        st.sampled_from([*["put"] * 5, "delete", *["get"] * 5, "range", "record", "sequence", "select"])
    )
    if what == "put":
        return (
            draw(st.sampled_from(["put", "merge"])) if "merged" in table else "put",
            table,
            key,
            draw(values),
        )
    if what == "record" and table == "bag":
        what = "get"
    return (what, table, key)


def run(transaction: Transaction, steps: list[Any], at_once: bool) -> list[Any]:
    seen: list[Any] = []
    for what, table, key, *rest in steps:
        if at_once:
            transaction.stored(table)  # from here on nothing waits
        if what == "sequence":
            seen.append(transaction.sequence)
        elif what == "record":
            record = transaction.record(table, key)
            seen.append(
                record and (record.version.sequence, record.tombstone, record.tombstone or record.value)
            )
        elif what == "range":
            seen.append(transaction.range(table, key))
        elif what == "select":
            seen.append(transaction.select(table, Match((*key[:1], ANY))))
        else:
            seen.append(getattr(transaction, what)(table, key, *rest))
    return seen


def _kept(peer: Peer) -> Any:
    """Every record, but for its writer's incarnation."""
    return {place: (record[:13], record[21:-4]) for place, record in peer.records().items()}


class Undone(Exception):
    """A function that has seen all it wants."""

    def __init__(self, seen: list[Any]) -> None:
        super().__init__()
        self.seen = seen


def run_or_fail(transaction: Transaction, steps: list[Any], at_once: bool, fails: bool) -> list[Any]:
    seen = run(transaction, steps, at_once)
    if fails:
        raise Undone(seen)
    return seen


def _seen(result: Result) -> Any:
    return result.error.seen if isinstance(result.error, Undone) else result.value


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.tuples(st.lists(step(), max_size=8), st.booleans()), max_size=5),
    st.sampled_from(["disc", "ram"]),
)
def test_waiting_writes_come_to_the_same_as_writes_at_once(transactions: Any, storage: str) -> None:
    """Handed over together, by themselves, and by themselves with nothing that waits."""
    with tempfile.TemporaryDirectory() as folder:
        peers = [Peer(Path(folder) / name, tables(storage)) for name in ("together", "waiting", "at_once")]
        results: list[list[Result]] = []
        for at_once, peer in enumerate(peers[1:]):
            found: list[Result] = []
            for steps, fails in transactions:
                peer.group.submit_transaction(found.append, run_or_fail, steps, at_once, fails)
            peer.store.deliver_results()
            results.append(found)
        all_of_them: list[Result] = []
        calls = [(run_or_fail, (steps, False, fails)) for steps, fails in transactions]
        if calls:
            peers[0].group.submit_transactions(all_of_them.append, calls)
            peers[0].store.deliver_results()
            results.append(all_of_them[0].value)
        for other in results[1:]:
            assert [_seen(one) for one in other] == [_seen(one) for one in results[0]]
            assert [type(one.error) for one in other] == [type(one.error) for one in results[0]]
            assert [one.sequence for one in other] == [one.sequence for one in results[0]]
        kept = _kept(peers[0])
        for peer in peers:
            assert _kept(peer) == kept
            assert peer.group.sequence == peers[0].group.sequence
            peer.check()
            peer.close()


def test_of_several_that_are_handed_over_together_each_sees_what_those_before_it_wrote(peer: Peer) -> None:
    peer.put("last", (1, 1), 5)
    peer.put("last", (1, 2), 5)

    def give(transaction: Transaction, source: int, target: int) -> tuple[Any, ...]:
        had = [transaction.get("last", (1, n)) for n in (source, target)]
        transaction.put("last", (1, source), had[0] - 1)
        transaction.put("last", (1, target), had[1] + 1)
        return (*had, transaction.get("last", (1, source)))

    def delete(transaction: Transaction) -> Any:
        transaction.delete("last", (1, 1))
        return transaction.get("last", (1, 1))

    def version(transaction: Transaction) -> Any:
        record = transaction.record("last", (1, 2))
        assert record is not None
        return (record.version.sequence, record.value)

    calls: list[Call] = [
        (give, (1, 2)),
        (give, (2, 1)),
        (give, (1, 2)),
        (give, (1, 2)),
        (version, ()),
        (delete, ()),
    ]
    results: list[Result] = []
    peer.group.submit_transactions(results.append, calls)
    peer.store.deliver_results()
    found = [one.value for one in results[0].value]
    assert found == [(5, 5, 4), (6, 4, 5), (5, 5, 4), (4, 6, 3), (10, 7), None]
    assert [one.sequence for one in results[0].value] == [4, 6, 8, 10, 10, 11]
    with peer.group.snapshot() as reader:
        assert reader.range("last") == [((1, 2), 7)]


def test_of_several_that_are_handed_over_together_one_that_cannot_be_done_fails_alone(peer: Peer) -> None:
    peer.put("coloured", (1, 1), "red")
    state = peer.group.table("coloured").state

    def damage(transaction: Transaction) -> None:
        _, rows = transaction.stored("coloured")
        rows.put(next(iter(rows.scan(b"", b"\xff", 1)))[0], b"short")

    def put(transaction: Transaction, n: int) -> None:
        transaction.put(state, (1, n), "blue")

    def look(transaction: Transaction) -> Any:
        return transaction.range("coloured", (1, 2))  # applies what was put before it

    peer.transact(damage)
    results: list[Result] = []
    calls: list[Call] = [(put, (2,)), (put, (1,)), (look, ()), (put, (3,))]
    peer.group.submit_transactions(results.append, calls)
    peer.store.deliver_results()
    assert results[0].error is None
    found = results[0].value
    assert [type(one.error) for one in found] == [type(None), DamagedRecord, type(None), type(None)]
    assert found[2].value == [((1, 2), "blue")]
    assert [key for key, _ in peer.group.table("coloured").range((1, 2))] == [(1, 2), (1, 3)]


def test_a_function_that_catches_what_its_waiting_writes_met_does_nothing_by_half(peer: Peer) -> None:
    peer.put("coloured", (1, 1), "red")

    def damage(transaction: Transaction) -> None:
        _, rows = transaction.stored("coloured")
        rows.put(next(iter(rows.scan(b"", b"\xff", 1)))[0], b"short")

    def catches(transaction: Transaction) -> None:
        transaction.put("last", (1, 1), 1)
        transaction.put("coloured", (1, 1), "blue")
        transaction.put("last", (1, 2), 2)
        with contextlib.suppress(DamagedRecord):
            transaction.range("coloured")  # applies what waits

    peer.transact(damage)
    results: list[Result] = []
    peer.group.submit_transaction(results.append, catches)
    peer.store.deliver_results()
    assert type(results[0].error) is DamagedRecord
    assert peer.group.table("last").range() == []


def test_of_several_that_are_handed_over_together_one_that_is_too_large_fails_alone(tmp_path: Path) -> None:
    group = Group("g", (Table("t", partitioned=False),))
    with Store.open(tmp_path / "s", [group], map_bytes=1 << 20, committer="inline") as store:
        results: list[Result] = []

        def put(transaction: Transaction, key: int, size: int) -> None:
            transaction.put("t", (key,), b"x" * size)

        calls: list[Call] = [(put, (1, 10)), (put, (2, 2 << 20)), (put, (3, 10))]
        store.group("g").submit_transactions(results.append, calls)
        store.deliver_results()
        assert [type(one.error) for one in results[0].value] == [type(None), MapFull, type(None)]
        assert [key for (key,), _ in store.group("g").table("t").range()] == [1, 3]
