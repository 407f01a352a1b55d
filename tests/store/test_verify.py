"""Verification notices every relation that doesn't hold, and writes don't make damage worse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from store import keys, record
from store.buckets import bucket_of
from store.errors import DamagedRecord, DamagedStore
from store.limits import STALE_MIN
from store.record import Version
from store.results import Result
from store.schema import Group
from store.store import Store
from store.verify import verify_group
from store.writes import APPLY, DELETE, PUT
from tests.store.worlds import GROUP, tables

IDS = {table.name: at for at, table in enumerate(tables("disc"))}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path / "s", [Group(GROUP, tables("disc"))], committer="inline") as opened:
        commit(opened, *((PUT, IDS["simple"], (1, n), n) for n in range(3)))
        commit(
            opened, (PUT, IDS["coloured"], (1, 1), {"colours": ["red"]}), (PUT, IDS["buried"], (1, 1), "x")
        )
        commit(opened, (DELETE, IDS["buried"], (1, 1)))
        verify_group(opened.group(GROUP))
        yield opened


def commit(store: Store, *writes: Any) -> Result:
    results: list[Result] = []
    store.group(GROUP).submit(list(writes), results.append)
    store.deliver_results()
    return results[0]


def tamper(store: Store, place: Any, key: bytes, value: bytes | None) -> None:
    """Change one entry behind the store's back."""
    with store.group(GROUP).state.environment.env.begin(write=True) as transaction:
        if value is None:
            assert transaction.delete(key, db=place)
        else:
            transaction.put(key, value, db=place)


def place_of(store: Store, table: str, what: str = "place") -> Any:
    return getattr(store.group(GROUP).table(table).state, what)


def changes_of(store: Store) -> Any:
    return store.group(GROUP).state.places.changes


def listed_at(store: Store, table: str, key: tuple[Any, ...]) -> bytes:
    found = store.group(GROUP).table(table).record(key)
    assert found is not None
    return bucket_of(key[0]) + found.local_sequence.to_bytes(8, "big")


def test_an_entry_of_changes_that_is_gone(store: Store) -> None:
    tamper(store, changes_of(store), listed_at(store, "simple", (1, 1)), None)
    with pytest.raises(DamagedStore, match="changes"):
        verify_group(store.group(GROUP))
    # The row can be written and deleted, and what is wrong of it harms no other.
    commit(store, (PUT, IDS["simple"], (1, 1), "again"), (PUT, IDS["simple"], (1, 5), "fine"))
    verify_group(store.group(GROUP))


def test_an_entry_of_changes_for_nothing(store: Store) -> None:
    tamper(store, changes_of(store), bucket_of(1) + (999).to_bytes(8, "big"), b"\0" + keys.encode((1, 77)))
    with pytest.raises(DamagedStore, match="changes"):
        verify_group(store.group(GROUP))
    assert all(change.key != (1, 77) for change in store.group(GROUP).changes(1))


def test_a_record_that_says_it_is_listed_where_another_is_takes_no_entry_from_that_one(store: Store) -> None:
    group = store.group(GROUP)
    other = group.table("simple").record((1, 2))
    assert other is not None
    key = keys.encode((1, 1))
    raw = record.carry(other.local_sequence.to_bytes(8, "big"), record.pack(key, 0, 0, 1, 1, b"\0"))
    tamper(store, place_of(store, "simple"), key, raw)
    with pytest.raises(DamagedStore, match="changes"):
        verify_group(group)
    # Enough overwrites for all that is stale to be taken away, twice.
    for _ in range(3):
        commit(store, *((PUT, IDS["simple"], (1, 1), n) for n in range(2)))
        for n in range(STALE_MIN):
            group.submit([(PUT, IDS["simple"], (1, 3 + n % 2), n)], lambda result: None)
            store.deliver_results()
    assert group.state.places.stale.kept == 1
    assert other.version in [change.record.version for change in group.changes(1) if change.key == (1, 2)]


@pytest.mark.parametrize("value", [None, b""])
def test_an_index_that_misses_a_row_or_has_one_too_many(store: Store, value: bytes | None) -> None:
    colour = b"red" if value is None else b"blue"
    entry = keys.encode((colour.decode(),)) + keys.SEPARATOR + keys.encode((1, 1))
    tamper(store, place_of(store, "coloured", "indexed_places")[0], entry, value)
    with pytest.raises(DamagedStore, match="index"):
        verify_group(store.group(GROUP))


def test_a_row_and_a_tombstone_of_one_key(store: Store) -> None:
    key = keys.encode((1, 1))
    sequence = store.group(GROUP).sequence
    raw = record.pack(key, 0, 0, sequence, 1, record.encode_value("x"))
    tamper(store, place_of(store, "buried"), key, raw)
    with pytest.raises(DamagedStore):
        verify_group(store.group(GROUP))
    tamper(store, place_of(store, "buried"), key, record.pack(key, record.TOMBSTONE, 0, 9, 1, b"\0"))
    with pytest.raises(DamagedStore, match="tombstone"):
        verify_group(store.group(GROUP))


@pytest.mark.parametrize("raw", [b"", b"\0" * 10, b"\0" * 40])
def test_a_record_that_is_none(store: Store, raw: bytes) -> None:
    tamper(store, place_of(store, "simple"), keys.encode((1, 1)), raw)
    with pytest.raises(DamagedRecord):
        verify_group(store.group(GROUP))
    too_short = len(raw) < record.OVERHEAD
    assert (
        isinstance(commit(store, (PUT, IDS["simple"], (1, 1), "over it")).error, DamagedRecord) == too_short
    )
    other = [(PUT, IDS["simple"], (1, n), n) for n in range(10, 20)]
    assert (
        isinstance(commit(store, (PUT, IDS["simple"], (1, 1), 0), *other).error, DamagedRecord) == too_short
    )
    assert store.group(GROUP).table("simple").get((1, 2)) == 2


def test_records_of_other_nodes_keep_indexes_and_plain_tables_in_step(store: Store) -> None:
    group = store.group(GROUP)
    coloured, simple = IDS["coloured"], IDS["simple"]
    commit(store, (APPLY, coloured, (1, 1), {"colours": ["blue"]}, Version(5, 1, 1), False))
    assert [key for key, _ in group.table("coloured").index("colour", ("blue",))] == [(1, 1)]
    assert group.table("coloured").index("colour", ("red",)) == []
    with group.table("coloured").subscribe() as subscription:
        commit(store, (APPLY, coloured, (1, 1), None, Version(5, 2, 1), True))
        assert len(subscription.take()) == 1
    assert group.table("coloured").index("colour", ("blue",)) == []
    # A table without tombstones forgets a deletion once it is done.
    commit(store, (APPLY, simple, (1, 1), None, Version(5, 1, 1), True))
    assert group.table("simple").get((1, 1)) is None
    verify_group(group)
