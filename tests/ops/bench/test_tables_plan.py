"""The keys and values of the replicated tables' benchmark are what every system must write."""

from itertools import islice

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from ops.bench.tables_plan import (
    Contents,
    Expected,
    Load,
    Mode,
    contents_of,
    filler,
    first_number,
    keys_of,
)

SMALL = Load("async", phase=3, tables=2, keys=50, writers=6, writes=100)


def written(load: Load) -> dict[tuple[int, int], int]:
    """(table, key) → how many writers wrote it."""
    owners: dict[tuple[int, int], set[int]] = {}
    for writer in range(load.writers):
        for key in islice(keys_of(load, writer), load.count_of(writer)):
            owners.setdefault((load.table_of(writer), key), set()).add(writer)
    return {place: len(writers) for place, writers in owners.items()}


@given(
    tables=st.integers(1, 4),
    parts=st.integers(1, 5),
    keys=st.integers(10, 200),
    share=st.floats(0, 1),
)
def test_a_filled_key_is_written_once(tables: int, parts: int, keys: int, share: float) -> None:
    writes = int(keys * share) * tables
    load = Load("fill", 0, tables, keys, writers=tables * parts, writes=writes)
    assert sum(load.count_of(writer) for writer in range(load.writers)) == writes
    found = written(load)
    assert len(found) == writes
    assert all(table < tables and key < keys for table, key in found)


@given(mode=st.sampled_from(["async", "sync", "transaction"]), phase=st.integers(0, 999))
def test_a_key_belongs_to_one_writer(mode: Mode, phase: int) -> None:
    found = written(evolve(SMALL, mode=mode, phase=phase))
    assert set(found.values()) == {1}
    assert all(table < 2 and key < 50 for table, key in found)


def test_the_writes_are_shared_out() -> None:
    load = evolve(SMALL, writes=101)
    assert [load.count_of(writer) for writer in range(6)] == [17, 17, 17, 17, 17, 16]


def test_an_update_takes_two_different_keys() -> None:
    load = evolve(SMALL, mode="update", keys=6, writes=600)
    keys = list(islice(keys_of(load, 1), 200))
    assert all(one != other for one, other in zip(keys[::2], keys[1::2], strict=True))


def test_phases_and_writers_have_keys_and_numbers_of_their_own() -> None:
    places = [(phase, writer) for phase in range(3) for writer in (0, 2, 4)]
    loads = [(evolve(SMALL, phase=phase), writer) for phase, writer in places]
    assert len({tuple(islice(keys_of(load, writer), 20)) for load, writer in loads}) == len(places)
    numbers = [first_number(load, writer) for load, writer in loads]
    assert all(abs(one - other) >= 1 << 32 for one in numbers for other in numbers if one != other)


def test_updates_count_every_transaction_twice() -> None:
    expected = Expected()
    expected.apply(Load("update", 0, 1, 40, writers=4, writes=33))
    assert sum(int.from_bytes(value[:8], "big") for value in expected.tables[0].values()) == 66


def test_contents_tell_records_apart() -> None:
    one = contents_of([(1, b"x"), (2, b"y")])
    assert one == contents_of([(2, b"y"), (1, b"x")])
    assert one != contents_of([(2, b"x"), (1, b"y")])
    assert contents_of([]) == Contents(0, 0)
    assert len(filler(SMALL)) == 142


@pytest.mark.parametrize(
    "changes",
    [
        {"writers": 5},
        {"writers": 4098},
        {"keys": 5},
        {"phase": 40_000},
        {"value": 7},
        {"mode": "fill", "writes": 101},
        {"mode": "fill", "writes": 102},
    ],
)
def test_what_can_not_be_spread_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        evolve(SMALL, **changes)
