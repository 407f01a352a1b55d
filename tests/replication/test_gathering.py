"""Writes of one pass become one submit, in their order, and each caller hears of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replication import gathering
from replication.core.errors import ClaimLost, WritersWait
from replication.gathering import Gathering, Heap
from store.errors import KeyNotStorable, StoreBusy, StoreClosed, UnknownTable, ValueNotStorable
from store.keys import decode
from store.limits import StoreSettings
from store.schema import Group
from store.store import Store
from store.writes import MERGE, PUT
from tests.replication.members import table


class Taker:
    """Takes heaps, or raises what it was told to; writes down what came."""

    def __init__(self) -> None:
        self.took: list[tuple[int, list[Any]]] = []
        self.heaps: list[Heap] = []
        self.error: Exception | None = None

    def __call__(self, p: int, heap: Heap) -> None:
        if self.error is not None:
            raise self.error
        self.took.append((p, [decode(row[2])[0] for row in heap.writes.rows]))
        self.heaps.append(heap)

    def transact(self, p: int, calls: Any, told: Any) -> None:
        """The same of transactions; their first argument is what they are known by."""
        if self.error is not None:
            raise self.error
        self.took.append((p, [arguments[0] for _, arguments in calls]))
        for (_, arguments), ran in zip(calls, told, strict=True):
            ran(2, None, arguments[0])

    @property
    def written(self) -> list[Any]:
        return [key for _, keys in self.took for key in keys]


class Ends:
    """How a write ended."""

    def __init__(self) -> None:
        self.all: list[tuple[int, str]] = []

    def __call__(self, copies: int, error: Exception | None, value: Any = None) -> None:
        self.all.append((copies, type(error).__name__ if error else ""))


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    tables = (table("t"), table("most", merge="max"))
    path: Path = tmp_path_factory.mktemp("store")
    settings_ = StoreSettings(map_bytes=16 << 20)
    with Store.open(path, [Group("g", tables)], settings=settings_, committer="inline") as store:
        yield store.group("g")


@pytest.fixture
def taker() -> Taker:
    return Taker()


@pytest.fixture
def gather(group: Any, taker: Taker) -> Gathering:
    return Gathering(taker, group.encoded, taker.transact)


def put(group: Any, *keys: Any, value: Any = 1) -> list[Any]:
    return [(PUT, group.table("t").id, (key,), value) for key in keys]


def nothing(transaction: Any, *arguments: Any) -> None:
    """A transaction."""


def test_transactions_of_one_pass_are_handed_over_together_each_with_its_value(
    taker: Taker, gather: Gathering
) -> None:
    values: list[Any] = []
    for i in range(6):
        gather.call(i % 2, (nothing, (i,)), lambda copies, error, value: values.append(value))
    assert taker.took == []
    gather.flush()
    assert sorted(taker.took) == [(0, [0, 2, 4]), (1, [1, 3, 5])]
    assert sorted(values) == [0, 1, 2, 3, 4, 5]


def test_writes_and_transactions_of_a_partition_stay_in_their_order(
    group: Any, taker: Taker, gather: Gathering
) -> None:
    gather.add(0, put(group, 1), None)
    gather.call(0, (nothing, (2,)), Ends())
    gather.call(0, (nothing, (3,)), Ends())
    gather.add(0, put(group, 4), None)
    gather.flush()
    assert taker.took == [(0, [1]), (0, [2, 3]), (0, [4])]


def test_transactions_that_find_no_room_wait_and_are_bounded(
    group: Any, taker: Taker, gather: Gathering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "GATHERED_CALLS", 3)
    taker.error = WritersWait("the heir doesn't keep up")
    for i in range(3):
        gather.call(0, (nothing, (i,)), Ends())
        gather.flush()
    with pytest.raises(WritersWait):
        gather.call(0, (nothing, (3,)), Ends())
    with pytest.raises(WritersWait):
        gather.add(0, put(group, 4), None)
    taker.error = None
    gather.flush()
    assert taker.took == [(0, [0, 1, 2])]


def test_many_transactions_are_handed_over_before_the_pass_ends(taker: Taker, gather: Gathering) -> None:
    for i in range(gathering.HANDED_CALLS + 1):
        gather.call(0, (nothing, (i,)), Ends())
    assert [len(keys) for _, keys in taker.took] == [gathering.HANDED_CALLS]


def test_transactions_that_can_be_run_nowhere_any_more_are_told_so(taker: Taker, gather: Gathering) -> None:
    ends = Ends()
    gather.call(0, (nothing, (1,)), ends)
    taker.error = ClaimLost("another's")
    gather.flush()
    assert ends.all == [(0, "NotServed")]  # not run: it can be tried again
    gather.call(1, (nothing, (1,)), ends)
    gather.close(ClaimLost("gone"))
    assert ends.all == [(0, "NotServed"), (0, "ClaimLost")]


def test_what_comes_in_one_pass_is_one_submit_for_each_partition(
    group: Any, taker: Taker, gather: Gathering
) -> None:
    for i in range(10):
        gather.add(i % 2, put(group, i), None)
    assert taker.took == []
    assert len(gather) == 10
    gather.flush()
    assert sorted(taker.took) == [(0, [0, 2, 4, 6, 8]), (1, [1, 3, 5, 7, 9])]
    assert len(gather) == 0
    gather.flush()
    assert len(taker.took) == 2


def test_each_caller_is_told_of_its_own_when_it_wants(group: Any, taker: Taker, gather: Gathering) -> None:
    local, settled = Ends(), Ends()
    gather.add(0, put(group, 1, 2), None)
    gather.add(0, put(group, 3), local, settled=False)
    gather.add(0, put(group, 4), settled, settled=True)
    gather.flush()
    (heap,) = taker.heaps
    assert (heap.local, heap.settled, heap.casts) == ([local], [settled], 2)


def test_bytes_that_nobody_waits_for_are_counted_apart(group: Any, taker: Taker, gather: Gathering) -> None:
    large = gather.add(0, put(group, 1, value=b"x" * 5_000), None)
    small = gather.add(0, put(group, 2), None)
    other = gather.add(0, put(group, 3, value=b"x" * 5_000), Ends())
    gather.flush()
    (heap,) = taker.heaps
    assert 5_000 < large < 5_100
    assert heap.cast_bytes == large + small
    assert heap.writes.size == large + small + other


@pytest.mark.parametrize("error", [StoreBusy("full"), WritersWait("the heir doesn't keep up")])
def test_what_there_is_no_room_for_waits_in_its_order_and_is_lost_nowhere(
    group: Any, taker: Taker, gather: Gathering, error: Exception
) -> None:
    ends = Ends()
    taker.error = error
    for i in range(5):
        gather.add(0, put(group, i), ends)
        gather.flush()
    assert (len(gather), ends.all) == (5, [])
    taker.error = None
    gather.add(0, put(group, 5), ends)
    gather.flush()
    assert taker.took == [(0, [0, 1, 2, 3, 4, 5])]
    assert not len(gather)


def test_what_waits_is_bounded_in_rows(
    group: Any, taker: Taker, gather: Gathering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "GATHERED_ROWS", 10)
    taker.error = StoreBusy("full")
    gather.add(0, put(group, *range(8)), None)
    with pytest.raises(WritersWait, match="try again in a moment"):
        gather.add(0, put(group, 8, 9, 10), None)
    gather.add(0, put(group, 8, 9), None)
    gather.add(1, put(group, *range(20)), None)  # alone, it is as large as it is
    taker.error = None
    gather.flush()
    assert sorted(taker.took) == [(0, list(range(10))), (1, list(range(20)))]


def test_what_waits_is_bounded_in_bytes(
    group: Any, taker: Taker, gather: Gathering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "GATHERED_BYTES", 1_000)
    taker.error = StoreBusy("full")
    gather.add(0, put(group, 1, value=b"x" * 2_000), None)
    with pytest.raises(WritersWait):
        gather.add(0, put(group, 2), None)
    taker.error = None
    gather.flush()
    assert taker.written == [1]


@pytest.mark.parametrize(("limit", "value"), [("HANDED_ROWS", 1), ("HANDED_BYTES", b"x" * 20)])
def test_much_is_handed_over_before_the_end_of_the_pass(
    group: Any, taker: Taker, gather: Gathering, monkeypatch: pytest.MonkeyPatch, limit: str, value: Any
) -> None:
    monkeypatch.setattr(gathering, limit, 100)
    for i in range(200):
        gather.add(0, put(group, i, value=value), None)
    assert taker.took
    gather.flush()
    assert taker.written == list(range(200))


def test_a_merge_goes_alone_and_in_its_place(group: Any, taker: Taker, gather: Gathering) -> None:
    merge = [(MERGE, group.table("most").id, ("m",), 1)]
    gather.add(0, put(group, 1), None)
    gather.add(0, put(group, 2), None)
    gather.add(0, merge, None)
    gather.add(0, merge, None)
    gather.add(0, put(group, 3), None)
    gather.flush()
    assert taker.took == [(0, [1, 2]), (0, ["m"]), (0, ["m"]), (0, [3])]


def test_a_merge_that_would_come_before_what_waits_is_refused(
    group: Any, taker: Taker, gather: Gathering
) -> None:
    taker.error = WritersWait("the heir doesn't keep up")
    gather.add(0, put(group, 1), None)
    with pytest.raises(WritersWait):
        gather.add(0, [(MERGE, group.table("most").id, ("m",), 1)], None)
    taker.error = None
    gather.flush()
    assert taker.written == [1]


@pytest.mark.parametrize("error", [ClaimLost("it is another's"), StoreClosed("closed"), UnknownTable("gone")])
def test_a_submit_that_fails_is_told_to_those_in_it_and_to_nobody_else(
    group: Any, taker: Taker, gather: Gathering, error: Exception
) -> None:
    first, second, third = Ends(), Ends(), Ends()
    gather.add(0, put(group, 1), first, settled=True)
    gather.add(0, put(group, 2), second)
    taker.error = error
    gather.flush()
    taker.error = None
    gather.add(0, put(group, 3), third)
    gather.flush()
    assert first.all == second.all == [(0, type(error).__name__)]
    assert third.all == []
    assert taker.written == [3]


def test_what_cannot_be_stored_is_found_when_it_is_added(group: Any, taker: Taker, gather: Gathering) -> None:
    gather.add(0, put(group, 1), None)
    for bad, error in (
        (put(group, 1.5), KeyNotStorable),
        (put(group, 2, value=object()), ValueNotStorable),
        ([*put(group, 3), (PUT, 99, (1,), 1)], UnknownTable),
    ):
        with pytest.raises(error):
            gather.add(0, bad, Ends())
        with pytest.raises(error):
            gather.add(1, bad, Ends())
    gather.flush()
    assert taker.took == [(0, [1])]


def test_a_table_that_was_altered_meanwhile_is_one_callers_fault() -> None:
    heap = Heap(None)  # type: ignore[arg-type]
    heap.local.append(Ends())
    assert isinstance(heap.of_all(UnknownTable("t")), UnknownTable)
    heap.settled.append(Ends())
    assert isinstance(heap.of_all(UnknownTable("t")), WritersWait)
    assert isinstance(heap.of_all(ClaimLost("t")), ClaimLost)
    assert heap.of_all(None) is None


def test_who_is_called_back_may_write_at_once(group: Any, gather: Gathering) -> None:
    took: list[Any] = []

    def take(p: int, heap: Heap) -> None:
        took.append([decode(row[2])[0] for row in heap.writes.rows])
        for done in heap.local:
            done(1, None)

    again = Gathering(take, group.encoded, Taker().transact)
    again.add(0, put(group, 1), lambda *_: again.add(0, put(group, 2), None))
    again.flush()
    assert took == [[1]]
    again.flush()
    assert took == [[1], [2]]


def test_who_is_called_back_as_transactions_are_handed_over_loses_no_write(group: Any, taker: Taker) -> None:
    def transact(p: int, calls: Any, told: Any) -> None:
        again.add(p, put(group, 1), None)

    again = Gathering(taker, group.encoded, transact)
    again.call(0, (nothing, ()), Ends())
    again.add(0, put(group, 2), None)
    again.flush()
    assert taker.written == [1, 2]


def test_closed_it_tells_whoever_waits(group: Any, taker: Taker, gather: Gathering) -> None:
    ends = Ends()
    gather.add(0, put(group, 1, 2), None)
    gather.add(1, put(group, 3), ends)
    rows, size = gather.close(ClaimLost("gone"))
    assert rows == 2
    assert size > 0
    assert ends.all == [(0, "ClaimLost")]
    gather.flush()
    assert taker.took == []


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 1), st.sampled_from(["put", "puts", "merge"])),
            st.tuples(st.just("call"), st.integers(0, 1)),
            st.tuples(st.just("flush")),
            st.tuples(st.just("room"), st.booleans()),
        ),
        max_size=40,
    )
)
def test_whatever_happens_each_partition_is_written_in_order_and_whole(group: Any, steps: list[Any]) -> None:
    taker = Taker()
    gather = Gathering(taker, group.encoded, taker.transact)
    added: dict[int, list[Any]] = {0: [], 1: []}
    most = group.table("most").id
    for number, step in enumerate(steps):
        if step[0] == "flush":
            gather.flush()
        elif step[0] == "room":
            taker.error = None if step[1] else StoreBusy("full")
        elif step[0] == "call":
            try:
                gather.call(step[1], (nothing, (number,)), Ends())
            except WritersWait:
                continue
            added[step[1]].append(number)
        else:
            _, p, what = step
            keys = [number, -number - 1] if what == "puts" else [number]
            writes = [(MERGE, most, (number,), 1)] if what == "merge" else put(group, *keys)
            try:
                gather.add(p, writes, None)
            except WritersWait:
                continue
            added[p] += keys
    taker.error = None
    gather.flush()
    for p in (0, 1):
        assert [key for q, keys in taker.took for key in keys if q == p] == added[p]
