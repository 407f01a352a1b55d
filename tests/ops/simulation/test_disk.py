"""The virtual disk: beside LMDB, operation by operation; and what may happen to it."""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import hypothesis.strategies as st
import lmdb
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from ops.simulation.disk import CommitFault, PowerCut, VirtualDisk
from store.errors import DirectoryInUse, DiskFull, NoStore, SyncFailed
from store.limits import StoreSettings
from store.schema import Group, Table
from store.store import Store
from store.verify import verify_group
from store.writes import DELETE, PUT
from tests.ops.simulation.virtual import Virtual

keys = st.sampled_from([bytes([one]) * size for one in b"abc" for size in (1, 2)] + [b"m" * 511])
records = st.sampled_from([b"", b"1", b"2", b"x" * 5000])
names = st.sampled_from([b"one", b"two"])
pairs = st.lists(st.tuples(keys, records), max_size=5)
OPERATIONS = ("get", "set_key", "pop", "set_range", "first", "last", "item", "rest", "before", "delete")
MOVES = ("next", "prev")


class BesideLmdb(RuleBasedStateMachine):
    """The same operations on both; whatever comes back must be the same."""

    readers = Bundle("readers")

    @initialize()
    def begin(self) -> None:
        self.path = tempfile.mkdtemp(prefix="waystation-test-")
        self.real = lmdb.Environment(self.path, map_size=1 << 24, max_dbs=4, lib_version=0, sync=False)
        self.disk = VirtualDisk("0")
        self.virtual = self.disk.environment(_Path("g"), StoreSettings())
        self.places = {
            name: (self.real.open_db(name), self.virtual.database(name)) for name in (b"one", b"two")
        }
        self.writers: list[tuple[Any, Any]] = []
        self.cursors: dict[bytes, tuple[Any, Any]] = {}

    def teardown(self) -> None:
        if hasattr(self, "path"):
            self.cursors.clear()
            for real, _ in reversed(self.writers):
                real.abort()
            self.real.close()
            shutil.rmtree(self.path)

    # ---- transactions

    @precondition(lambda self: len(self.writers) < 3)
    @rule()
    def begin_writing(self) -> None:
        real, virtual = self.writers[-1] if self.writers else (None, None)
        self.cursors.clear()
        self.writers.append(
            (self.real.begin(write=True, parent=real), self.virtual.begin(write=True, parent=virtual))
        )

    @precondition(lambda self: self.writers)
    @rule(keep=st.booleans())
    def end_writing(self, keep: bool) -> None:
        self.cursors.clear()
        real, virtual = self.writers.pop()
        if keep:
            real.commit()
            self.virtual.commit(virtual)
        else:
            real.abort()
            virtual.abort()

    @rule(target=readers)
    def begin_reading(self) -> Any:
        return self.real.begin(), self.virtual.begin()

    @rule(reader=readers, name=names)
    def a_reader_sees_what_it_saw(self, reader: Any, name: bytes) -> None:
        self.looks_same(reader, name)

    @rule(reader=consumes(readers))
    def end_reading(self, reader: Any) -> None:
        for one in reader:
            one.abort()

    # ---- writing and reading in the innermost transaction

    def cursor(self, name: bytes) -> tuple[Any, Any]:
        if name not in self.cursors:
            places = self.places[name]
            self.cursors[name] = tuple(
                one.cursor(place) for one, place in zip(self.writers[-1], places, strict=True)
            )
        return self.cursors[name]

    def same(self, name: bytes, fn: Any) -> Any:
        real, virtual = (fn(cursor) for cursor in self.cursor(name))
        assert real == virtual
        return real

    @precondition(lambda self: self.writers)
    @rule(name=names, key=keys, record=records, overwrite=st.booleans())
    def put(self, name: bytes, key: bytes, record: bytes, overwrite: bool) -> None:
        self.same(name, lambda cursor: (cursor.put(key, record, True, overwrite), cursor.key()))

    @precondition(lambda self: self.writers)
    @rule(name=names, key=keys, record=records)
    def replace(self, name: bytes, key: bytes, record: bytes) -> None:
        self.same(name, lambda cursor: (cursor.replace(key, record), cursor.item()))

    @precondition(lambda self: self.writers)
    @rule(name=names, some=pairs, overwrite=st.booleans())
    def putmulti(self, name: bytes, some: Any, overwrite: bool) -> None:
        self.same(name, lambda cursor: cursor.putmulti(some, overwrite=overwrite))

    @precondition(lambda self: self.writers)
    @rule(name=names, some=st.lists(keys, max_size=4))
    def getmulti(self, name: bytes, some: Any) -> None:
        self.same(name, lambda cursor: list(cursor.getmulti(some)))

    @precondition(lambda self: self.writers)
    @rule(name=names, key=keys)
    def pop(self, name: bytes, key: bytes) -> None:
        self.same(name, lambda cursor: cursor.pop(key))

    @precondition(lambda self: self.writers)
    @rule(name=names, key=keys, back=st.booleans())
    def walk(self, name: bytes, key: bytes, back: bool) -> None:
        """From the first row at or beyond a key, in one of the two ways, as `store.rows.scan` does."""

        def both(cursor: Any) -> Any:
            if not cursor.set_range(key):
                return cursor.last(), cursor.item()
            if back:
                return cursor.prev(), list(cursor.iterprev()) if cursor.key() else None
            return cursor.item(), cursor.value(), list(cursor)

        self.same(name, both)

    @precondition(lambda self: self.writers)
    @rule(name=names, way=st.sampled_from(MOVES), last=st.booleans(), steps=st.integers(1, 4))
    def step(self, name: bytes, way: str, last: bool, steps: int) -> None:
        def both(cursor: Any) -> Any:
            seen = [cursor.last() if last else cursor.first()]
            while seen[-1] and steps >= len(seen):
                seen += [cursor.item(), getattr(cursor, way)()]
            return seen

        self.same(name, both)

    @precondition(lambda self: self.writers)
    @rule(name=names, key=keys)
    def delete_from(self, name: bytes, key: bytes) -> None:
        def both(cursor: Any) -> Any:
            if not cursor.set_range(key):
                return None
            return cursor.delete(), cursor.item()

        self.same(name, both)

    @precondition(lambda self: self.writers)
    @rule(name=names, key=keys, record=records)
    def without_a_cursor(self, name: bytes, key: bytes, record: bytes) -> None:
        real, virtual = (
            (
                one.get(key, None, place),
                one.put(key, record, db=place),
                one.replace(key, b"r", place),
                one.pop(key, place),
                one.delete(key, b"", place),
                one.stat(place)["entries"],
            )
            for one, place in zip(self.writers[-1], self.places[name], strict=True)
        )
        assert real == virtual
        self.cursors.clear()

    @precondition(lambda self: self.writers)
    @rule(name=names)
    def empty(self, name: bytes) -> None:
        self.cursors.clear()
        for one, place in zip(self.writers[-1], self.places[name], strict=True):
            one.drop(place, delete=False)

    def looks_same(self, transactions: Any, name: bytes) -> None:
        real, virtual = (
            (list(one.cursor(place)), list(one.cursor(place).iterprev()), one.stat(place)["entries"])
            for one, place in zip(transactions, self.places[name], strict=True)
        )
        assert real == virtual

    @invariant()
    def all_is_the_same(self) -> None:
        if not hasattr(self, "path"):
            return
        if not self.writers:
            with self.real.begin() as real, self.virtual.begin() as virtual:
                for name in self.places:
                    self.looks_same((real, virtual), name)
        else:
            for name in self.places:
                self.looks_same(self.writers[-1], name)


class _Path:
    def __init__(self, name: str) -> None:
        self.name = name


TestBesideLmdb = BesideLmdb.TestCase
TestBesideLmdb.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)


# ---- what may happen to it --------------------------------------------------------------------------------

GROUPS = [Group("g", (Table("t", tombstones=True),)), Group("other", (Table("u"),))]


def open_store(disk: VirtualDisk, **options: Any) -> Store:
    return Store.open(
        "/v", GROUPS, committer="inline", environments=disk.environment, directories=disk.directory, **options
    )


def put(store: Store, *numbers: int, deliver: bool = True) -> list[Any]:
    results: list[Any] = []
    group = store.group("g")
    for n in numbers:
        group.submit([(PUT, group.table("t").id, (0, n), n)], results.append)
    if deliver:
        store.deliver_results()
    return results


def values(store: Store) -> list[Any]:
    return [value for _, value in store.group("g").table("t").range()]


def test_what_was_not_committed_is_gone_after_a_crash() -> None:
    disk = VirtualDisk("0")
    store = open_store(disk)
    put(store, 1)
    put(store, 2, deliver=False)
    disk.crash()
    store.abandon()
    assert values(open_store(disk)) == [1]


@pytest.mark.parametrize(
    ("fault", "kept"), [(CommitFault.CUT_BEFORE, [1]), (CommitFault.CUT_AFTER, [1, 2, 3])]
)
def test_power_is_lost_around_a_commit(fault: CommitFault, kept: list[int]) -> None:
    disk = VirtualDisk("0")
    store = open_store(disk)
    put(store, 1)
    disk.fault = fault
    with pytest.raises(PowerCut):
        put(store, 2, 3)
    disk.crash()
    store.abandon()
    again = open_store(disk)
    assert values(again) == kept
    verify_group(again.group("g"))


@pytest.mark.parametrize(("fault", "kept"), [(CommitFault.SYNC_LOST, [1]), (CommitFault.SYNC_KEPT, [1, 2])])
def test_after_a_failed_sync_the_node_is_dead_and_nobody_knows(fault: CommitFault, kept: list[int]) -> None:
    disk = VirtualDisk("0")
    store = open_store(disk)
    put(store, 1)
    disk.fault = fault
    with pytest.raises(SyncFailed):
        put(store, 2)
    with pytest.raises(SyncFailed):
        put(store, 3)
    disk.crash()
    store.abandon()
    assert values(open_store(disk)) == kept


def test_a_full_disk_refuses_what_grows_and_takes_what_shrinks() -> None:
    disk = VirtualDisk("0")
    store = open_store(disk)
    group = store.group("other")
    results: list[Any] = []
    group.submit([(PUT, 0, (0, 1), "x" * 100)], results.append)
    store.deliver_results()
    disk.full = True
    assert isinstance(put(store, 1)[0].error, DiskFull)
    group.submit([(DELETE, 0, (0, 1))], results.append)
    store.deliver_results()
    assert [result.error for result in results] == [None, None]
    disk.full = False
    assert put(store, 1)[0].error is None


def test_an_old_image_is_put_back_and_the_store_knows() -> None:
    disk = VirtualDisk("0")
    store = open_store(disk)
    put(store, 1)
    image = disk.image()
    put(store, 2)
    incarnation, sequence = store.group("g").history.current.id, store.group("g").sequence
    store.close()
    disk.restore(image)
    again = open_store(disk)
    assert values(again) == [1]
    put(again, 3)
    assert again.group("g").sequence == sequence
    assert again.group("g").position(incarnation, sequence) == 0
    clone = VirtualDisk("1")
    clone.restore(image)
    assert values(open_store(clone)) == [1]


def test_a_wiped_disk_is_a_new_one() -> None:
    disk = VirtualDisk("0")
    store = open_store(disk)
    put(store, 1)
    store.close()
    disk.wipe()
    with pytest.raises(NoStore):
        open_store(disk, read_only=True)
    assert values(open_store(disk)) == []


def test_one_process_holds_it() -> None:
    disk = VirtualDisk("0")
    with open_store(disk), pytest.raises(DirectoryInUse):
        open_store(disk)
    open_store(disk).close()


def test_it_tells_what_each_commit_wrote() -> None:
    told: list[Any] = []
    disk = VirtualDisk("0", told.append)
    store = open_store(disk)
    told.clear()
    put(store, 1, 2)
    group = store.group("g")
    group.submit_transaction(lambda result: None, _put_and_raise)
    group.submit([(DELETE, 0, (0, 1))], lambda result: None)
    store.deliver_results()
    first, second = told
    assert (first.node, first.group, first.sequence) == ("0", "g", 2)
    assert [name for name, _, _ in first.changes].count(b"t:t") == 2
    assert second.sequence == 3
    gone = [(name, record is None) for name, _, record in second.changes if name in (b"t:t", b"x:t")]
    assert sorted(gone) == [(b"t:t", True), (b"x:t", False)]


def _put_and_raise(transaction: Any) -> None:
    transaction.put("t", (0, 9), 9)
    raise LookupError


def test_a_snapshot_sees_one_moment() -> None:
    virtual = Virtual()
    group = virtual.group
    results: list[Any] = []
    group.submit([(PUT, 0, (1, 1), "old")], results.append)
    virtual.store.deliver_results()
    with group.snapshot() as reader:
        group.submit([(PUT, 0, (1, 1), "new"), (PUT, 0, (1, 2), "new")], results.append)
        virtual.store.deliver_results()
        assert reader.range("simple") == [((1, 1), "old")]
        assert group.table("simple").get((1, 1)) == "new"
    virtual.end()
