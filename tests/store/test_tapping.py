"""The tap: one call a commit, with what was written and by whom; nothing when nobody taps."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pytest

from store import keys
from store.record import unpack
from store.results import Result
from store.tapping import GONE, Part, Tape, pack_rows
from store.writes import DELETE, MERGE, PUT
from tests.store.peers import Peer
from tests.store.test_committer import FailingEnvironment, Failure


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    opened = Peer(tmp_path / "s", epoch=3)
    yield opened
    opened.close()


def content(part: Part) -> dict[Any, Any]:
    flat = cbor2.loads(part.blob)
    return {
        keys.decode(key): unpack(part.table, key, record).value if record else None
        for key, record in zip(flat[::2], flat[1::2], strict=True)
    }


def test_a_commit_is_tapped_once_with_its_parts_before_anybody_is_answered(peer: Peer) -> None:
    order: list[Any] = []
    peer.group.tap = order.append
    last, whole, position = (peer.id(name) for name in ("last", "whole", "position"))
    peer.group.submit([(PUT, last, (1, 1), "a"), (PUT, last, (2, 1), "b")], order.append)
    peer.group.submit([(PUT, last, (1, 2), "c"), (PUT, whole, (5,), "d")], order.append, "them")
    peer.group.submit([(PUT, position, (5,), "local")], order.append)
    peer.store.deliver_results()
    tapped, *results = order
    assert (tapped.first, tapped.last) == (0, 5)
    assert [result.sequence for result in results] == [2, 4, 5]
    assert {(part.partition, part.table): (content(part), part.rows) for part in tapped.parts} == {
        (1, "last"): ({(1, 1): "a", (1, 2): "c"}, 2),
        (2, "last"): ({(2, 1): "b"}, 1),
        (None, "whole"): ({(5,): "d"}, 1),
    }
    assert tapped.touched == {
        1: frozenset({None, "them"}),
        2: frozenset({None}),
        None: frozenset({"them"}),
    }


def test_what_a_merge_made_of_a_peers_record_and_an_own_one_counts_as_changed_by_both(
    peer: Peer, tmp_path: Path
) -> None:
    merged = peer.id("merged")
    other = Peer(tmp_path / "o", epoch=3)
    other.commit((MERGE, merged, (1, "k"), [2]))
    other.commit((MERGE, merged, (2, "k"), [2]))
    peer.commit((MERGE, merged, (1, "k"), [1]))
    peer.commit((MERGE, merged, (2, "k"), [2]))
    other.commit((MERGE, merged, (2, "k"), [2, 3]))
    peer.apply([part for tapped in other.tapped for part in tapped.parts], source="them")
    other.close()
    assert [peer.group.table("merged").get((p, "k")) for p in (1, 2)] == [[1, 2], [2, 3]]
    assert peer.tapped[-1].touched == {1: frozenset({None, "them"}), 2: frozenset({"them"})}


def test_of_a_key_written_often_in_a_commit_the_last_record_is_told(peer: Peer) -> None:
    last = peer.id("last")
    for value in range(3):
        peer.group.submit([(PUT, last, (1, 1), value), (PUT, last, (1, 2), value)], lambda result: None)
    peer.group.submit([(DELETE, last, (1, 2))], lambda result: None)
    peer.store.deliver_results()
    (part,) = peer.tapped[0].parts
    assert content(part)[1, 1] == 2
    assert content(part)[1, 2] is None
    assert part.rows == 2


def test_what_was_undone_is_not_told(peer: Peer) -> None:
    def fail(transaction: Any) -> None:
        transaction.put("last", (1, 1), "undone")
        raise LookupError

    results: list[Result] = []
    peer.group.submit_transaction(results.append, fail)
    peer.group.submit([(MERGE, peer.id("merged"), (1, 1), [1])], results.append, "them")
    peer.store.deliver_results()
    (tapped,) = peer.tapped
    assert [(part.table, content(part)) for part in tapped.parts] == [("merged", {(1, 1): [1]})]
    assert tapped.touched == {1: frozenset({"them"})}


def test_a_commit_that_wrote_nothing_is_not_told_and_one_of_local_content_has_no_parts(peer: Peer) -> None:
    peer.delete("plain", (1, 1))
    assert peer.tapped == []
    peer.put("position", (1,), "here")
    (tapped,) = peer.tapped
    assert (tapped.first, tapped.last, tapped.parts, tapped.touched) == (0, 1, (), {})


def test_submits_that_are_committed_apart_are_told_apart_and_failed_ones_never(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "s", environments=FailingEnvironment)
    last = peer.id("last")
    environment: Any = peer.group.state.environment
    # The commit of all three fails, then that of the second alone.
    environment.failures = [Failure(errno.ENOSPC), None, Failure(errno.ENOSPC), None]
    results: list[Result] = []
    for n in range(3):
        peer.group.submit([(PUT, last, (1, n), n)], results.append)
    peer.store.deliver_results()
    assert [result.error is None for result in results] == [True, False, True]
    assert [(tapped.first, tapped.last) for tapped in peer.tapped] == [(0, 1), (1, 2)]
    assert [content(part) for tapped in peer.tapped for part in tapped.parts] == [{(1, 0): 0}, {(1, 2): 2}]
    peer.close()


def test_nothing_is_kept_when_nobody_taps(peer: Peer) -> None:
    peer.group.tap = None
    assert peer.group.state.batch().tape is None
    peer.put("last", (1, 1), 1)
    assert peer.tapped == []


def test_a_transaction_that_is_alone_sees_exactly_what_the_tap_has_told(peer: Peer) -> None:
    order: list[Any] = []
    peer.group.tap = lambda tapped: order.append(("tap", tapped.first, tapped.last))
    last = peer.id("last")

    def note(result: Result) -> None:
        order.append(("done", result.sequence))

    def look(transaction: Any) -> Any:
        return transaction.sequence, [key for key, _ in transaction.range("last")]

    for n in range(2):
        peer.group.submit([(PUT, last, (1, n), n)], note)
    alone: list[Result] = []
    peer.group.submit_transaction(alone.append, look, alone=True)
    peer.group.submit_transaction(note, lambda transaction: transaction.put("last", (1, 7), 7), alone=True)
    for n in range(2, 4):
        peer.group.submit([(PUT, last, (1, n), n)], note)
    peer.store.deliver_results()
    assert alone[0].value == (2, [(1, 0), (1, 1)])
    assert alone[0].sequence == 2
    assert order == [
        ("tap", 0, 2),
        ("done", 1),
        ("done", 2),
        ("tap", 2, 3),
        ("done", 3),
        ("tap", 3, 5),
        ("done", 4),
        ("done", 5),
    ]


async def test_alone_is_alone_on_the_thread_too(tmp_path: Path) -> None:
    peer = Peer(tmp_path / "s", committer="thread")
    results: list[Result] = []
    seen: list[tuple[int, int]] = []
    for n in range(200):
        if n % 10 == 5:
            peer.group.submit_transaction(
                lambda result: seen.append((result.value, peer.tapped[-1].last)),
                lambda transaction: transaction.sequence,
                alone=True,
            )
        peer.group.submit([(PUT, peer.id("last"), (1, n), n)], results.append)
    while len(results) < 200 or len(seen) < 20:
        await peer.store.step()
    assert all(sequence == told for sequence, told in seen)
    assert [tapped.first for tapped in peer.tapped[1:]] == [tapped.last for tapped in peer.tapped[:-1]]
    assert len(peer.tapped) >= 20
    peer.close()


ROW, TOMB = b"\0row", b"\1tombstone"


def test_a_key_that_is_there_twice_is_packed_once() -> None:
    twice = [b"a", ROW, b"b", ROW, b"a", ROW + b"2"]
    once = (cbor2.dumps([b"a", ROW + b"2", b"b", ROW]), 2)
    assert pack_rows(twice, merging=False) == pack_rows(twice, merging=True) == once


def test_a_merging_table_tells_the_last_deletion_before_the_row() -> None:
    gone = [b"a", ROW, b"b", ROW, b"a", TOMB, b"b", GONE]
    rows = [*gone, b"a", ROW + b"2", b"b", ROW + b"2", b"a", ROW + b"3"]
    assert pack_rows(rows, merging=True) == (
        cbor2.dumps([b"a", TOMB, b"b", GONE, b"b", ROW + b"2", b"a", ROW + b"3"]),
        4,
    )
    assert pack_rows(rows, merging=False) == (cbor2.dumps([b"a", ROW + b"3", b"b", ROW + b"2"]), 2)
    ends = [b"a", TOMB, b"a", ROW, b"a", GONE, b"a", ROW, b"a", TOMB]
    assert pack_rows(ends, merging=True) == (cbor2.dumps([b"a", GONE, b"a", TOMB]), 2)


def test_a_tape_tells_sources_that_take_turns_apart() -> None:
    tape = Tape()
    table: Any = type("AnyTable", (), {"name": "t", "merge": None})()
    one, other = keys.encode((1,)), keys.encode((2,))
    for source, partition, key in (("x", one, b"a"), ("y", one, b"b"), ("y", other, b"c"), ("x", one, b"d")):
        tape.turn(source)
        tape.note(partition, table, key, b"record")
    tapped = tape.finish(0, 4)
    assert tapped.touched == {1: frozenset({"x", "y"}), 2: frozenset({"y"})}
    assert [part.rows for part in tapped.parts] == [3, 1]
