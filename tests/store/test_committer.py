"""Group commit: submits whole, failures apart, queues bounded, results on the loop."""

from __future__ import annotations

import errno
import select
import threading
import time
from pathlib import Path
from typing import Any

import lmdb
import pytest
import trio

from store import floor
from store.environment import Environment
from store.errors import (
    CommitterDied,
    DiskFull,
    KeyNotStorable,
    MapFull,
    MergeUndeclared,
    StoreBusy,
    StoreClosed,
    StoreFatal,
    SubmitTooLarge,
    SyncFailed,
    TableReadOnly,
    UnknownTable,
    ValueNotStorable,
)
from store.limits import RESULTS_PER_PASS, SUBMIT_ROWS_MAX, StoreSettings
from store.results import Result
from store.schema import Group, Index, Table
from store.store import Store
from store.writes import DELETE, MERGE, PUT, REMOVE


def careless(key: Any, value: Any) -> list[tuple[Any, ...]]:
    return [(value["name"],)]


def add(old: Any, new: Any) -> Any:
    return (old or 0) + new


GROUP = Group(
    "mail",
    (
        Table("message", insert_only=True),
        Table("pair"),
        Table("fast", storage="ram"),
        Table("named", indexes=(Index("name", careless),)),
        Table("sum", merge=add),
        Table("sealed", read_only=True),
    ),
)


class FailingEnvironment(Environment):
    """The boundary to LMDB, with commits that fail when told to."""

    __slots__ = ("failures",)

    def __init__(self, path: Path, settings: StoreSettings, **options: Any) -> None:
        super().__init__(path, settings, **options)
        self.failures: list[Exception | None] = []

    def commit(self, transaction: Any) -> None:
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            transaction.abort()
            raise self.named(failure, "commit")
        super().commit(transaction)


class Failure(lmdb.Error):
    """As LMDB reports an error number of the operating system."""

    def __init__(self, code: int) -> None:
        super().__init__(f"errno {code}", code)
        self.code = code  # type: ignore[misc]


def open_store(path: Path, **options: Any) -> Store:
    return Store.open(path, [GROUP], committer="inline", **options)


def submit(store: Store, *writes: Any) -> list[Result]:
    results: list[Result] = []
    store.group("mail").submit(list(writes), results.append)
    return results


def ids(store: Store, *names: str) -> list[int]:
    return [store.group("mail").table(name).id for name in names]


def test_nothing_is_visible_or_answered_before_the_commit(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        pair, fast = ids(store, "pair", "fast")
        group = store.group("mail")
        results = submit(store, (PUT, pair, (1, 1), "a"), (PUT, fast, (1, 1), "b"))
        assert results == []
        assert group.table("pair").get((1, 1)) is None
        assert group.table("fast").get((1, 1)) is None
        assert group.queue_length == 2
        store.deliver_results()
        assert [result.error for result in results] == [None]
        assert results[0].sequence == 2
        assert group.table("pair").get((1, 1)) == "a"
        assert group.table("fast").get((1, 1)) == "b"
        assert group.queue_length == 0


def test_what_was_given_may_change_afterwards(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        (pair,) = ids(store, "pair")
        value = [1]
        submit(store, (PUT, pair, (1, 1), value))
        value.append(2)
        store.deliver_results()
        assert store.group("mail").table("pair").get((1, 1)) == [1]


def test_a_transaction_that_raises_spoils_no_other(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        (pair,) = ids(store, "pair")
        group = store.group("mail")
        first = submit(store, (PUT, pair, (1, 1), "a"))
        second: list[Result] = []

        def fn(transaction: Any) -> None:
            assert transaction.get("pair", (1, 1)) == "a"
            transaction.put("pair", (1, 2), "lost")
            transaction.put("fast", (1, 2), "lost")
            raise LookupError

        group.submit_transaction(second.append, fn)
        third = submit(store, (PUT, pair, (1, 3), "c"))
        store.deliver_results()
        assert (first[0].error, third[0].error) == (None, None)
        assert isinstance(second[0].error, LookupError)
        assert group.table("pair").range() == [((1, 1), "a"), ((1, 3), "c")]
        assert group.table("fast").range() == []
        assert group.statistics()["commits"] == 1
        rows, took = group.statistics()["commit_rows"], group.statistics()["commit_time_us"]
        assert sum(rows["buckets"]) == sum(took["buckets"]) == 1
        count = group.statistics()["rows"]
        assert rows["buckets"][count.bit_length()] == 1
        assert (rows["most"], rows["total"]) == (count, count)
        assert took["buckets"][took["most"].bit_length()] == 1


def test_a_merge_that_raises_spoils_no_other(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        (pair, total) = ids(store, "pair", "sum")
        first = submit(store, (PUT, pair, (1, 1), "a"), (MERGE, total, (1, 1), 2))
        second = submit(store, (PUT, pair, (1, 2), "b"), (MERGE, total, (1, 1), "no number"))
        store.deliver_results()
        assert first[0].error is None
        assert isinstance(second[0].error, TypeError)
        assert store.group("mail").table("pair").range() == [((1, 1), "a")]
        assert store.group("mail").table("sum").get((1, 1)) == 2


def test_an_index_function_that_raises_is_met_before_anything_is_queued(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        (named,) = ids(store, "named")
        with pytest.raises(KeyError):
            submit(store, (PUT, named, (1, 1), {"nameless": 1}))
        assert store.group("mail").queue_length == 0


@pytest.mark.parametrize(
    ("write", "error"),
    [
        ((PUT, 1, (1, 1.5), 0), KeyNotStorable),
        ((PUT, 1, ("no partition", 1), 0), KeyNotStorable),
        ((PUT, 1, (1, b"x" * 600), 0), KeyNotStorable),
        ((PUT, 1, (1, 1), object()), ValueNotStorable),
        ((PUT, 99, (1, 1), 0), UnknownTable),
        ((PUT, 5, (1, 1), 0), TableReadOnly),
        ((DELETE, 5, (1, 1)), TableReadOnly),
        ((MERGE, 1, (1, 1), 0), MergeUndeclared),
        ((REMOVE, 1, (1, 1), 0), KeyNotStorable),
        ((77, 1, (1, 1), 0), ValueError),
    ],
)
def test_a_write_that_can_not_be_stored_queues_nothing(
    tmp_path: Path, write: Any, error: type[Exception]
) -> None:
    with open_store(tmp_path / "s") as store:
        with pytest.raises(error):
            submit(store, (PUT, 1, (1, 1), "good"), write)
        store.deliver_results()
        assert store.group("mail").table("pair").range() == []
        assert store.group("mail").queue_length == 0


def test_read_only_can_be_switched(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        pair = store.group("mail").table("pair")
        pair.set_read_only(True)
        with pytest.raises(TableReadOnly):
            submit(store, (PUT, pair.id, (1, 1), "a"))
        pair.set_read_only(False)
        submit(store, (PUT, pair.id, (1, 1), "a"))
        store.deliver_results()
        assert pair.get((1, 1)) == "a"


def test_a_full_queue_is_said_aloud_and_empties(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", settings=StoreSettings(queue_rows=4, queue_bytes=10_000)) as store:
        (pair,) = ids(store, "pair")
        submit(store, *((PUT, pair, (1, n), 0) for n in range(3)))
        with pytest.raises(StoreBusy):
            submit(store, (PUT, pair, (1, 8), 0), (PUT, pair, (1, 9), 0))
        submit(store, (PUT, pair, (1, 8), 0))
        store.deliver_results()
        submit(store, (PUT, pair, (1, 9), b"x" * 9_000))
        with pytest.raises(StoreBusy):
            submit(store, (PUT, pair, (1, 10), b"x" * 9_000))
        store.deliver_results()
        assert store.group("mail").statistics()["busy"] == 2
        # One submit alone may be larger than the queue: else it could never be made.
        submit(store, *((PUT, pair, (2, n), 0) for n in range(9)))
        store.deliver_results()
        assert store.group("mail").table("pair").count() == 14


def test_a_submit_has_a_limit(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store, pytest.raises(SubmitTooLarge):
        submit(store, *[(DELETE, 1, (1, 1))] * (SUBMIT_ROWS_MAX + 1))


def test_a_full_disk_fails_what_needs_room_and_nothing_else(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", environments=FailingEnvironment) as store:
        environment: Any = store.group("mail").state.environment
        (pair,) = ids(store, "pair")
        kept = submit(store, (PUT, pair, (1, 1), "kept"))
        store.deliver_results()
        environment.failures = [Failure(errno.ENOSPC)] * 4
        lost = [submit(store, (PUT, pair, (1, n), "lost"), (PUT, pair, (2, n), "lost")) for n in range(2, 7)]
        freed = submit(store, (DELETE, pair, (1, 1)))
        store.deliver_results()
        assert kept[0].error is None
        assert [type(results[0].error) for results in lost] == [DiskFull] * 5
        assert freed[0].error is None
        assert store.group("mail").table("pair").range() == []
        assert store.fatal is None
        again = submit(store, (PUT, pair, (1, 2), "now"))
        store.deliver_results()
        assert again[0].error is None
        assert store.group("mail").table("pair").range() == [((1, 2), "now")]


def test_a_full_map_fails_what_needs_room_and_reads_go_on(tmp_path: Path) -> None:
    with open_store(tmp_path / "s", map_bytes=1024 * 1024) as store:
        (message,) = ids(store, "message")
        table = store.group("mail").table("message")
        stored = 0
        for n in range(1_000):
            results = submit(store, (PUT, message, (1, n), b"x" * 3_000), (PUT, message, (2, n), b"y"))
            store.deliver_results()
            if results[0].error is not None:
                assert isinstance(results[0].error, MapFull)
                assert "map_bytes" in str(results[0].error)
                break
            stored += 1
        assert 0 < stored < 1_000
        assert table.count() == 2 * stored
        assert table.get((1, 0)) == b"x" * 3_000
        small_and_large = [
            submit(store, (DELETE, message, (1, 0))),
            submit(store, *((PUT, message, (3, n), b"x" * 3_000) for n in range(500))),
            submit(store, (DELETE, message, (1, 1))),
        ]
        store.deliver_results()
        assert [type(results[0].error) for results in small_and_large] == [type(None), MapFull, type(None)]
        assert table.count() == 2 * stored - 2


@pytest.mark.parametrize("code", [errno.EIO, errno.EROFS, errno.ENOMEM])
def test_a_failed_sync_ends_the_store_for_everybody(tmp_path: Path, code: int) -> None:
    store = open_store(tmp_path / "s", environments=FailingEnvironment)
    environment: Any = store.group("mail").state.environment
    (pair,) = ids(store, "pair")
    submit(store, (PUT, pair, (1, 1), "kept"))
    store.deliver_results()
    environment.failures = [Failure(code)]
    waiting = [submit(store, (PUT, pair, (1, n), "nobody knows")) for n in (2, 3)]
    with pytest.raises(SyncFailed):
        store.deliver_results()
    assert [type(results[0].error) for results in waiting] == [SyncFailed, SyncFailed]
    assert environment.failures == []
    with pytest.raises(StoreFatal):
        submit(store, (PUT, pair, (1, 4), "refused"))
    assert isinstance(store.fatal, SyncFailed)
    # Reads still answer what is known to be durable.
    assert store.group("mail").table("pair").get((1, 1)) == "kept"
    store.close()


def test_a_closed_store_takes_no_more(tmp_path: Path) -> None:
    store = open_store(tmp_path / "s")
    queued = submit(store, (PUT, 1, (1, 1), "a"))
    group = store.group("mail")
    store.close()
    assert [result.error for result in queued] == [None]
    with pytest.raises(StoreClosed):
        group.submit([(PUT, 1, (1, 1), "a")], queued.append)
    with pytest.raises(StoreClosed):
        group.read(lambda reader: None, queued.append)


def test_a_callback_that_raises_loses_no_other_result(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        group = store.group("mail")

        def fail(result: Result) -> None:
            raise LookupError

        group.submit([(PUT, 1, (1, 1), "a")], fail)
        other = submit(store, (PUT, 1, (1, 2), "b"))
        with pytest.raises(LookupError):
            store.deliver_results()
        store.deliver_results()
        assert other[0].error is None


# ---- with the thread --------------------------------------------------------------------------------


async def test_many_tasks_commit_together(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", [GROUP]) as store:
        group = store.group("mail")
        (pair,) = ids(store, "pair")
        found: list[Any] = []

        async def one(n: int) -> None:
            await group.commit([(PUT, pair, (n % 5, n), n)])
            found.append(group.table("pair").get((n % 5, n)))
            assert await group.transact(lambda transaction: transaction.get("pair", (n % 5, n))) == n
            assert await group.fetch(lambda reader: reader.get("pair", (n % 5, n))) == n

        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            async with trio.open_nursery() as users:
                for n in range(50):
                    users.start_soon(one, n)
            nursery.cancel_scope.cancel()
        assert sorted(found) == list(range(50))
        assert group.statistics()["commits"] < 60
        assert group.queue_length == 0


async def test_what_a_transaction_raises_is_raised_where_it_was_asked_for(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", [GROUP]) as store:
        group = store.group("mail")

        def fn(transaction: Any, what: str) -> None:
            transaction.put("pair", (1, 1), what)
            raise LookupError(what)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            with pytest.raises(LookupError, match="this"):
                await group.transact(fn, "this")
            nursery.cancel_scope.cancel()
        assert group.table("pair").get((1, 1)) is None


async def test_cancelling_a_commit_stops_the_waiting_only(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", [GROUP]) as store:
        group = store.group("mail")
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(group.commit, [(PUT, 1, (1, 1), "a")])
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            await group.commit([(PUT, 1, (1, 2), "b")])
            nursery.cancel_scope.cancel()
        assert [value for _, value in group.table("pair").range()] == ["a", "b"]


async def test_cold_reads_leave_the_loop_and_are_bounded(tmp_path: Path) -> None:
    settings = StoreSettings(warm_bytes=1, read_queue=2)
    with Store.open(tmp_path / "s", [GROUP], settings=settings) as store:
        group = store.group("mail")
        assert not group.warm
        go_on = threading.Event()
        threads: list[int] = []
        results: list[Result] = []

        def slow(reader: Any) -> int:
            threads.append(threading.get_ident())
            go_on.wait(10)
            return int(reader.count("pair"))

        group.read(slow, results.append)
        group.read(lambda reader: 1 / 0, results.append)
        with pytest.raises(StoreBusy):
            group.read(slow, results.append)
        assert results == []
        go_on.set()
        while len(results) < 2:
            await store.step()
        assert threads != [threading.get_ident()]
        assert results[0].value == 0
        assert isinstance(results[1].error, ZeroDivisionError)
        group.read(lambda reader: 5, results.append)
        while len(results) < 3:
            await store.step()


def test_a_warm_read_is_answered_at_once(tmp_path: Path) -> None:
    with Store.open(tmp_path / "s", [GROUP]) as store:
        results: list[Result] = []
        store.group("mail").read(lambda reader: reader.count("pair"), results.append)
        assert [result.value for result in results] == [0]


def test_the_thread_commits_without_the_loop_and_close_delivers(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", [GROUP])
    results = [submit(store, (PUT, 1, (1, n), n)) for n in range(200)]
    store.close()
    assert all(result[0].error is None for result in results)
    with Store.open(tmp_path / "s", [GROUP]) as again:
        assert again.group("mail").table("pair").count() == 200


def test_with_a_busy_loop_the_committer_asks_for_the_floor_and_all_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(floor, "PATIENCE_SECONDS", 60)
    with Store.open(tmp_path / "s", [GROUP]) as store:
        group = store.group("mail")
        assert group.floor is not None
        group.floor.until_probe = 1_000
        done: list[Result] = []
        for n in range(20):
            group.submit([(PUT, 1, (m, n), n) for m in range(100)], done.append)
        deadline = time.monotonic() + 60
        while len(done) < 20:
            store.deliver_results()
            assert time.monotonic() < deadline
        assert group.floor.grants > 0
        assert group.table("pair").count() == 2_000


def test_one_pass_calls_back_a_bounded_number_and_the_rest_the_next_time(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        results: list[Result] = []
        for n in range(RESULTS_PER_PASS + 10):
            store.group("mail").submit([(PUT, 1, (1, n), 0)], results.append)
        assert store.deliver_results() == RESULTS_PER_PASS
        with select.epoll() as poll:
            poll.register(store.eventfd, select.EPOLLIN)
            assert poll.poll(0)
            store.deliver_results()
            assert not poll.poll(0)
        assert len(results) == RESULTS_PER_PASS + 10


async def test_a_defect_in_the_committer_is_told_to_everybody_who_waits_and_who_comes(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", [GROUP])
    group = store.group("mail")
    results: list[Result] = []

    def defect(transaction: Any) -> None:
        raise SystemExit("a body")

    group.submit_transaction(results.append, defect)
    group.submit([(PUT, 1, (1, 1), "a")], results.append)
    with pytest.raises(CommitterDied):
        while len(results) < 2:
            await store.step()
    assert [type(result.error) for result in results] == [CommitterDied, CommitterDied]
    assert store.fatal is not None
    assert isinstance(store.fatal.__cause__, SystemExit)
    assert "SystemExit" in str(store.fatal)
    assert "a body" not in str(store.fatal)
    with pytest.raises(CommitterDied):
        group.submit([(PUT, 1, (1, 1), "a")], results.append)
    store.close()
