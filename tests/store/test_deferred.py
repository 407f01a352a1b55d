"""A transaction's writes that wait for its end: nobody can tell them from writes that don't."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.errors import DamagedRecord
from store.match import ANY, Match
from store.transaction import Transaction
from tests.store.peers import Peer, tables

TABLES = ("last", "merged", "buried_merged", "bag", "coloured", "plain")
KEYS = st.tuples(st.integers(0, 1), st.integers(0, 2))


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
        st.sampled_from(["put", "put", "delete", "get", "get", "range", "record", "sequence", "select"])
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


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(step(), max_size=8), max_size=5), st.sampled_from(["disc", "ram"]))
def test_waiting_writes_come_to_the_same_as_writes_at_once(transactions: Any, storage: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        peers = [Peer(Path(folder) / name, tables(storage)) for name in ("waiting", "at_once")]
        for steps in transactions:
            waiting, at_once = (peer.transact(run, steps, at_once) for at_once, peer in enumerate(peers))
            assert waiting == at_once
        assert _kept(peers[0]) == _kept(peers[1])
        assert peers[0].group.sequence == peers[1].group.sequence
        for peer in peers:
            peer.check()
            peer.close()
