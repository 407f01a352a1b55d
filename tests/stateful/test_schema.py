"""Alterations of the schema between writes, steps, crashes and reopens, against a dictionary.

The store commits inline, and each delivery does one step of each alteration that is under way, three rows long: so
what comes next finds it at any point. After every rule all tables are as the dictionary has them, every complete index
is what a rebuild would give, `changes` lists every live row once, and `verify` finds nothing wrong.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from types import MappingProxyType
from typing import Any

import attrs
import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from store.declaring import schema_row, table_from_row
from store.environment import Environment
from store.errors import (
    AlterationUnderWay,
    DiskFull,
    IndexExists,
    MergeUndeclared,
    NotDeclarable,
    StoreClosed,
    TableExists,
    TableNotEmpty,
    TableReadOnly,
    UnknownIndex,
    UnknownTable,
)
from store.fieldindex import EACH, FieldIndex, KeyPath
from store.limits import StoreSettings
from store.merges import MERGES
from store.operations import (
    AddIndex,
    ChangeStorage,
    CreateTable,
    DropIndex,
    DropTable,
    SetInsertOnly,
    SetMerge,
    SetReadOnly,
)
from store.results import Result
from store.schema import Group, Index, Table
from store.store import Store
from store.transform import transform_step
from store.verify import verify_group
from store.writes import DELETE, MERGE, PUT
from tests.store.worlds import MEMORY, Plain, abandon, by_size

NAMES = ("coded", "apple", "pear", "plum")
INDEXES = {
    "town": FieldIndex("town", (("town",),)),
    "tag": FieldIndex("tag", (("tags", EACH), KeyPath(1))),
    "owner": FieldIndex("owner", (KeyPath(0), ("town",)), version=2),
}
CODED = Table("coded", indexes=(Index("size", by_size),), tombstones=True)
SETTINGS = StoreSettings(map_bytes=64 * 1024 * 1024, alter_rows=3)

names = st.sampled_from(NAMES)
index_names = st.sampled_from([*INDEXES, "size"])
keys = st.tuples(st.sampled_from([0, 1, 40]), st.integers(0, 5))
values = st.fixed_dictionaries(
    {"town": st.sampled_from(["Ulm", "Bonn", None])},
    optional={"tags": st.lists(st.sampled_from(["a", "b"]), max_size=2), "size": st.integers(0, 3)},
)
declarations = st.builds(
    Table,
    names,
    kind=st.sampled_from(["set", "set", "bag"]),
    storage=st.sampled_from(["disc", "disc", "ram"]),
    partitioned=st.just(True) | st.booleans(),
    tombstones=st.booleans(),
    local_content=st.integers(0, 4).map(lambda n: n == 0),
    read_only=st.integers(0, 9).map(lambda n: n == 0),
    indexes=st.lists(st.sampled_from(list(INDEXES.values())), unique=True, max_size=2),
)
operations = (
    st.builds(CreateTable, declarations)
    | st.builds(DropTable, names, st.integers(0, 3).map(lambda n: n == 0))
    | st.builds(AddIndex, names, st.sampled_from(list(INDEXES.values())))
    | st.builds(DropIndex, names, index_names)
    | st.builds(ChangeStorage, names, st.sampled_from(["ram", "disc"]))
    | st.builds(SetReadOnly, names, st.booleans())
    | st.builds(SetMerge, names, st.sampled_from([None, "max", "maxima"]))
    | st.builds(SetInsertOnly, names, st.booleans())
)
writes = st.tuples(names, st.sampled_from([PUT, PUT, PUT, DELETE, MERGE]), keys, values)


class Refusing(Environment):
    """A disk that is full for the next commit, if a test says so."""

    __slots__ = ()
    refuse = False

    def commit(self, transaction: Any) -> None:
        if Refusing.refuse:
            Refusing.refuse = False
            transaction.abort()
            raise DiskFull("the test says so")
        super().commit(transaction)


class SchemaMachine(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.make()
        self.plain = Plain((CODED,))
        self.building: set[tuple[str, str]] = set()
        self.moving: dict[str, list[Result]] = {}
        self.lineages: dict[str, Any] = {}
        self.coded = True  # as long as the table that the code declares wasn't dropped
        self.store = self.open()

    boundaries: Any = MappingProxyType({"environments": Refusing})

    def fill_up(self, full: bool) -> None:
        """The next commit finds no room, or does after all."""
        Refusing.refuse = full

    def make(self) -> None:
        """A place for the store."""
        Refusing.refuse = False
        self.path = Path(tempfile.mkdtemp(prefix="waystation-test-", dir=MEMORY))

    def die(self) -> None:
        """The process is gone; what it had committed stays."""
        copy = Path(tempfile.mkdtemp(prefix="waystation-test-", dir=MEMORY))
        shutil.copytree(self.path, copy, dirs_exist_ok=True)
        abandon(self.store)
        shutil.rmtree(self.path)
        self.path = copy

    def clean(self) -> None:
        """Nothing of it is needed any more."""
        abandon(self.store)
        shutil.rmtree(self.path)

    def open(self) -> Store:
        group = Group("g", (CODED,) if self.coded else ())
        return Store.open(self.path, [group], settings=SETTINGS, committer="inline", **self.boundaries)

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.clean()

    @property
    def group(self) -> Any:
        return self.store.group("g")

    def declared(self, name: str) -> Table | None:
        return self.plain.declared.get(name)

    # ---- writing ------------------------------------------------------------------------------------

    def submit(self, write: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any, list[Result]] | None:
        """Hand a write over, or see that it is refused at once as it must be."""
        name, op, key, value = write
        results: list[Result] = []
        table = self.declared(name)
        if table is None:
            with pytest.raises(UnknownTable):
                self.group.table(name)
            return None
        handle = self.group.table(name)
        self.lineages[name] = handle.lineage
        encoded = (op, handle.id, key) if op == DELETE else (op, handle.id, key, value)
        refused: Any = TableReadOnly if table.read_only else None
        if refused is None and op == MERGE and table.merge is None:
            refused = MergeUndeclared
        if refused is not None:
            with pytest.raises(refused):
                self.group.submit([encoded], results.append)
            return None
        self.group.submit([encoded], results.append)
        return write, handle.lineage, results

    def happened(self, submitted: tuple[tuple[Any, ...], Any, list[Result]] | None) -> None:
        """What was handed over has been committed under the schema as the dictionary has it now."""
        if submitted is None:
            return
        (name, op, key, value), lineage, (result,) = submitted
        table = self.declared(name)
        if table is None or lineage is not self.lineages[name]:
            assert isinstance(result.error, UnknownTable)
        elif op == MERGE and table.merge is None:
            assert isinstance(result.error, MergeUndeclared)
        else:
            assert result.error is None
            if op == DELETE:
                self.plain.delete(name, key)
            elif op == PUT:
                self.plain.put(name, key, value)
            else:
                merge = MERGES[str(table.merge)]
                self.plain.put(name, key, merge(self.plain.get(name, key), value))

    @rule(several=st.lists(writes, min_size=1, max_size=12))
    def write(self, several: list[Any]) -> None:
        submitted = [self.submit(write) for write in several]
        self.store.deliver_results()
        for one in submitted:
            self.happened(one)
        self.look()

    @rule(name=names, several=st.lists(st.tuples(keys, values), min_size=4, max_size=20))
    def fill(self, name: str, several: list[Any]) -> None:
        self.write([(name, PUT, key, value) for key, value in several])

    # ---- altering -----------------------------------------------------------------------------------

    @rule(
        operation=operations,
        before=st.lists(writes, max_size=3),
        after=st.lists(writes, max_size=3),
        settle=st.booleans(),
    )
    def alter(self, operation: Any, before: list[Any], after: list[Any], settle: bool) -> None:
        if operation == DropTable("coded", False) and settle:
            return  # mostly it stays: only it has a function
        self.perform(operation, before, after)
        if settle:
            self.settle()

    @rule(names=st.permutations(NAMES), storage=st.sampled_from(["ram", "disc"]))
    def move(self, names: list[str], storage: Any) -> None:
        for name in names[:2]:
            if self.declared(name) is not None:
                self.perform(ChangeStorage(name, storage), [], [])

    @rule(operation=operations, steps=st.integers(0, 2))
    def alter_on_a_full_disk(self, operation: Any, steps: int) -> None:
        """What fails altered nothing. What was under way may stall instead, and goes on after a later commit."""
        if operation == DropTable("coded", False):
            return
        for _ in range(steps):
            self.store.deliver_results()
            self.look()
        results: list[Result] = []
        self.group.submit_alter(results.append, operation)
        under_way = self.group.alterations()
        self.fill_up(True)
        self.store.deliver_results()
        self.fill_up(False)
        if not (results and isinstance(results[0].error, DiskFull)):
            self.altered(operation, results, bool(under_way))
        self.look()

    def perform(self, operation: Any, before: list[Any], after: list[Any]) -> None:
        first = [self.submit(write) for write in before]
        results: list[Result] = []
        self.group.submit_alter(results.append, operation)
        last = [self.submit(write) for write in after]
        under_way = self.group.alterations()
        self.store.deliver_results()
        for one in first:
            self.happened(one)
        self.altered(operation, results, bool(under_way))
        for one in last:
            self.happened(one)
        self.look()

    def altered(self, operation: Any, results: list[Result], under_way: bool) -> None:
        error = results[0].error if results else None
        if isinstance(error, AlterationUnderWay):
            assert under_way
            assert isinstance(operation, AddIndex | DropIndex | ChangeStorage)
            return
        if isinstance(operation, CreateTable):
            if operation.table.name in self.plain.declared:
                assert isinstance(error, TableExists)
            else:
                assert error is None
                self.plain.add(operation.table)
                self.lineages[operation.table.name] = self.group.table(operation.table.name).lineage
            return
        table = self.declared(operation.table)
        if table is None:
            assert isinstance(error, UnknownTable)
            return
        if isinstance(operation, DropTable):
            if operation.only_empty and self.plain.count(table.name):
                assert isinstance(error, TableNotEmpty)
            else:
                assert error is None
                self.plain.drop(table.name)
                self.coded = self.coded and table.name != "coded"
                self.moving.pop(table.name, None)
                self.building = {(name, index) for name, index in self.building if name != table.name}
        elif isinstance(operation, AddIndex):
            if any(index.name == operation.index.name for index in table.indexes):
                assert isinstance(error, IndexExists)
            else:
                assert error is None
                self.declare(table, indexes=(*table.indexes, operation.index))
                self.building.add((table.name, operation.index.name))
        elif isinstance(operation, DropIndex):
            if any(index.name == operation.index for index in table.indexes):
                assert error is None
                kept = tuple(index for index in table.indexes if index.name != operation.index)
                self.declare(table, indexes=kept)
                self.building.discard((table.name, operation.index))
            else:
                assert isinstance(error, UnknownIndex)
        elif isinstance(operation, ChangeStorage):
            assert error is None
            if table.storage != operation.storage:
                self.moving[table.name] = results
        elif isinstance(operation, SetReadOnly):
            assert error is None
            self.declare(table, read_only=operation.read_only)
        elif isinstance(operation, SetMerge):
            self.declare_or_refuse(table, error, merge=operation.merge)
        else:
            assert isinstance(operation, SetInsertOnly)
            self.declare_or_refuse(table, error, insert_only=operation.insert_only)

    def declare(self, table: Table, **changes: Any) -> None:
        self.plain.declared[table.name] = attrs.evolve(table, **changes)

    def declare_or_refuse(self, table: Table, error: Any, **changes: Any) -> None:
        try:
            self.declare(table, **changes)
        except ValueError:
            assert isinstance(error, NotDeclarable)
        else:
            assert error is None

    def look(self) -> None:
        """What steps have completed."""
        for name, results in list(self.moving.items()):
            table = self.plain.declared[name]
            other = "ram" if table.storage == "disc" else "disc"
            if results and isinstance(results[0].error, DiskFull):
                # Whoever waited was told that it stalled; when it goes on nobody is.
                if self.group.table(name).state.declaration.storage == other:
                    del self.moving[name]
                    self.declare(table, storage=other)
            elif results:
                del self.moving[name]
                if isinstance(results[0].error, StoreClosed):
                    continue
                assert results[0].error is None
                self.declare(table, storage=other)
        for name, index in list(self.building):
            if index not in self.group.table(name).state.unusable:
                self.building.discard((name, index))

    @rule(steps=st.integers(1, 4))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.store.deliver_results()
            self.look()

    @rule()
    def settle(self) -> None:
        for _ in range(200):
            if not self.group.alterations():
                break
            self.group.submit_transaction(
                lambda result: None, lambda transaction: None
            )  # what stalled goes on
            self.store.deliver_results()
        assert not self.group.alterations()
        self.look()
        assert not self.building
        assert not self.moving
        assert not self.group.state.by_id.unsettled
        assert not self.group.state.catalog.residues

    @rule(name=names, after=st.sampled_from([b"", b"\x14\x14"]))
    def transform(self, name: str, after: bytes) -> None:
        table = self.declared(name)
        if table is None:
            return

        def older(key: Any, value: Any) -> Any:
            return {**value, "size": value.get("size", -1) + 1}

        results: list[Result] = []
        onward: Any = after
        while onward is not None:
            results.clear()
            self.group.submit_transaction(results.append, transform_step, name, older, onward, 4)
            self.store.deliver_results()
            if table.read_only and results[0].error is not None:
                assert isinstance(results[0].error, TableReadOnly)
                break
            assert results[0].error is None
            onward = results[0].value.after
        else:
            beyond = [key for key in self.plain.rows[name] if after == b"" or key >= (0, 0)]
            for key in beyond:
                was = self.plain.rows[name][key]
                become: list[Any] = []
                for value in was:
                    new = older(key, value)
                    if new not in become:
                        become.append(new)
                self.plain.rows[name][key] = become
        self.look()

    # ---- crashing -----------------------------------------------------------------------------------

    @rule()
    def crash(self) -> None:
        self.die()
        self.reopened()

    @rule()
    def reopen(self) -> None:
        self.let_go()
        self.store.close()
        self.look()  # what was under way may have been completed in time
        self.reopened()

    def reopened(self) -> None:
        self.held: Any = None
        self.moving = {}
        for table in self.plain.declared.values():
            if table.storage == "ram":
                self.plain.rows[table.name] = {}
                self.building = {one for one in self.building if one[0] != table.name}
        self.store = self.open()

    # ---- reading while it is altered ----------------------------------------------------------------

    held: Any = None

    @precondition(lambda self: self.held is None)
    @rule()
    def hold(self) -> None:
        snapshot = self.group.snapshot()
        snapshot.__enter__()
        disc = {name for name, table in self.plain.declared.items() if table.storage == "disc"}
        handles = {name: self.group.table(name) for name in self.plain.declared}
        self.held = (snapshot, self.plain.copy(), disc, set(self.building), handles)

    @precondition(lambda self: self.held is not None)
    @rule()
    def let_go(self) -> None:
        if self.held is None:
            return
        snapshot, plain, disc, building, handles = self.held
        self.held = None
        try:
            for name in NAMES:
                if name not in plain.declared:
                    with pytest.raises(UnknownTable):
                        snapshot.range(name)
                elif name in disc:
                    assert_same(plain, name, snapshot, building)
                    assert snapshot.range(handles[name]) == snapshot.range(name)
        finally:
            snapshot.__exit__(None, None, None)
        for name, handle in handles.items():
            if name not in self.plain.declared or self.group.table(name).lineage is not handle.lineage:
                with pytest.raises(UnknownTable):
                    handle.get((0, 0))
                with pytest.raises(UnknownTable), self.group.snapshot() as reader:
                    reader.get(handle, (0, 0))

    # ---- what must hold -----------------------------------------------------------------------------

    @invariant()
    def every_table_is_as_it_should_be(self) -> None:
        if not hasattr(self, "store"):
            return
        group = self.group
        assert {table.name for table in group.tables} == set(self.plain.declared)
        assert {one.name: one for one in group.declaration.tables} == self.plain.declared
        with group.snapshot() as reader:
            for name in self.plain.declared:
                assert_same(self.plain, name, reader, self.building)
        verify_group(group)

    @invariant()
    def declarations_are_plain_data(self) -> None:
        if hasattr(self, "store"):
            for table in self.plain.declared.values():
                if not any(isinstance(index, Index) for index in table.indexes):
                    assert table_from_row(schema_row(table)) == table

    @invariant()
    def changes_list_each_live_row_once(self) -> None:
        if not hasattr(self, "store"):
            return
        found = [
            (change.table, repr(change.key), repr(change.record.value))
            for partition in (0, 1, 40, None)
            for change in self.group.changes(partition)
            if not change.record.tombstone
        ]
        wanted = [
            (name, repr(key), repr(value))
            for name, table in self.plain.declared.items()
            if not table.local_content
            for key, value in self.plain.items(name)
        ]
        assert sorted(found) == sorted(wanted)


def assert_same(plain: Plain, name: str, reader: Any, building: set[tuple[str, str]]) -> None:
    """A table, and each of its indexes, is what the dictionary has."""
    assert sorted(reader.range(name), key=repr) == sorted(plain.items(name), key=repr)
    assert reader.count(name) == plain.count(name)
    for index in plain.declared[name].indexes:
        if (name, index.name) in building:
            with pytest.raises(UnknownIndex):
                reader.index(name, index.name, ())
        else:
            found = reader.index(name, index.name, ())
            assert sorted(found, key=repr) == sorted(plain.index(name, index.name, ()), key=repr)


TestSchema = SchemaMachine.TestCase
TestSchema.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
