"""Declarations as plain data, the catalog that keeps them, and the steps from one declaration to another."""

from __future__ import annotations

from typing import Any

import attrs
import cbor2
import hypothesis.strategies as st
import pytest
from hypothesis import given

from store import catalog as catalogs
from store.catalog import Catalog, Entry, Residue
from store.declaring import is_plain, schema_row, table_from_row
from store.errors import DamagedStore, NotDeclarable, TooManyTables, UnknownMerge
from store.fieldindex import FieldIndex
from store.limits import TABLES_MAX
from store.operations import (
    AddIndex,
    ChangeStorage,
    CreateTable,
    DropIndex,
    DropTable,
    SetInsertOnly,
    SetMerge,
    SetReadOnly,
    differences,
)
from store.schema import Index, Table
from tests.store.test_fieldindex import indexes

two_names = st.sampled_from(["i", "j"])


@st.composite
def tables(draw: Any, name: str = "t") -> Table:
    kind = draw(st.sampled_from(["set", "bag"]))
    some = draw(st.lists(indexes, max_size=2))
    named = [attrs.evolve(index, name=name) for index, name in zip(some, ("i", "j"), strict=False)]
    merge = None if kind == "bag" else draw(st.sampled_from([None, "max", "union"]))
    return Table(
        name,
        kind=kind,
        storage=draw(st.sampled_from(["ram", "disc"])),
        partitioned=draw(st.booleans()),
        tombstones=draw(st.booleans()),
        merge=merge,
        indexes=tuple(named),
        local_content=draw(st.booleans()),
        read_only=draw(st.booleans()),
        insert_only=draw(st.booleans()) and not (named and merge),
    )


@given(table=tables())
def test_a_declaration_is_plain_data_and_back(table: Table) -> None:
    assert is_plain(table)
    assert table_from_row(cbor2.loads(cbor2.dumps(schema_row(table)))) == table


def test_functions_are_not_plain_data() -> None:
    for table in (
        Table("t", merge=max),
        Table("t", indexes=(Index("i", lambda key, value: []),)),
    ):
        assert not is_plain(table)
        with pytest.raises(NotDeclarable):
            schema_row(table)


@pytest.mark.parametrize("change", [{"kind": "heap"}, {"name": "no name"}, {"read_only": 1}, {"indexes": 3}])
def test_other_data_is_no_declaration(change: dict[str, Any]) -> None:
    with pytest.raises(NotDeclarable):
        table_from_row({**schema_row(Table("t")), **change})
    with pytest.raises(NotDeclarable):
        table_from_row(None)


def test_a_merge_that_this_release_does_not_have_is_named() -> None:
    with pytest.raises(UnknownMerge) as caught:
        table_from_row({**schema_row(Table("t")), "merge": "newest"})
    assert "newest" in str(caught.value)


@given(now=tables(), wanted=tables())
def test_the_differences_lead_from_one_declaration_to_the_other(now: Table, wanted: Table) -> None:
    assert differences(now, now) == ()
    table: Table | None = now
    for operation in differences(now, wanted):
        if isinstance(operation, DropTable):
            table = None
            continue
        if isinstance(operation, CreateTable):
            table = operation.table
            continue
        assert table is not None
        if isinstance(operation, AddIndex):
            table = attrs.evolve(table, indexes=(*table.indexes, operation.index))
        elif isinstance(operation, DropIndex):
            kept = tuple(index for index in table.indexes if index.name != operation.index)
            table = attrs.evolve(table, indexes=kept)
        elif isinstance(operation, ChangeStorage):
            table = attrs.evolve(table, storage=operation.storage)
        elif isinstance(operation, SetReadOnly):
            table = attrs.evolve(table, read_only=operation.read_only)
        elif isinstance(operation, SetMerge):
            table = attrs.evolve(table, merge=operation.merge)
        else:
            assert isinstance(operation, SetInsertOnly)
            table = attrs.evolve(table, insert_only=operation.insert_only)
    assert table is not None
    assert attrs.evolve(table, indexes=()) == attrs.evolve(wanted, indexes=())
    assert set(table.indexes) == set(wanted.indexes)


def test_differences_from_and_to_nothing() -> None:
    table = Table("t")
    assert differences(None, table) == (CreateTable(table),)
    assert differences(table, None) == (DropTable("t"),)
    assert differences(None, None) == ()


def test_a_catalog_is_kept_as_it_is() -> None:
    index = FieldIndex("i", (("a",),))
    catalog = Catalog(
        {
            "t": Entry(
                3,
                Table("t", tombstones=True, indexes=(index,)),
                made=True,
                altered={"merge": "max", "read_only": True},
                added=(index,),
                dropped=("old",),
                built={"i": 1},
                building=("j",),
                rows="m:1",
                tombstones="m:2",
                indexes={"i": "m:3"},
            )
        },
        (Residue(4, True, True, ("m:5", "m:6"), ("m:7",)),),
        ("m:8",),
    )
    kept: dict[bytes, Any] = dict(catalogs.encode(catalog))
    assert catalogs.decode(kept, "here") == catalog
    for key in kept:
        with pytest.raises(DamagedStore):
            catalogs.decode({**kept, key: b"\xff"}, "here")


def test_ids_are_given_once_and_those_given_before_last() -> None:
    catalog = Catalog(
        {"a": Entry(0, Table("a")), "b": Entry(2, Table("b"))},
        (Residue(1, True, True), Residue(5, True, False, holds=False)),
    )
    assert catalog.free_number() == 3
    assert catalog.free_number(range(6)) == 6
    assert catalog.free_number(range(TABLES_MAX), held_too=[3]) == 4
    full = Catalog({f"t{n}": Entry(n, Table(f"t{n}")) for n in range(TABLES_MAX)})
    with pytest.raises(TooManyTables):
        full.free_number()


def test_maps_are_used_again_once_they_are_vacant() -> None:
    catalog = Catalog({"a": Entry(0, Table("a"), rows="t:a")})
    assert catalog.free_places(2) == ["m:0", "m:1"]
    assert catalog.named_place("t", "a") == "m:0"
    assert catalog.named_place("i", "b", "c") == "i:b:c"
    residue = Residue(1, True, True, ("m:0",), ("m:1",))
    catalog = attrs.evolve(catalog, residues=(residue,))
    assert catalog.free_places(1) == ["m:2"]
    catalog = catalog.cleared(residue)
    assert catalog.vacant == ("m:0", "m:1")
    assert catalog.free_places(3) == ["m:0", "m:1", "m:2"]
    assert catalog.with_entry(Entry(1, Table("b"), rows="m:0")).vacant == ("m:1",)
