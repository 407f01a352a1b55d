"""What can be replicated, and which partition a key is in."""

from __future__ import annotations

import pytest

from replication.errors import NotOnePartition
from replication.placed import COPIES_MAX, PARTITIONS_MAX, Placed, Unreplicable
from store.errors import KeyNotStorable
from store.keys import encode
from store.schema import Group
from tests.replication.members import placed, table

ONE = placed("one")
MANY = placed("many", table("many", partitioned=True), partitions=4)


NONSENSE = (
    {"partitions": 0},
    {"partitions": PARTITIONS_MAX + 1},
    {"copies": 0},
    {"copies": COPIES_MAX + 1},
    {"nodes": [b"a", b"a"]},
)


@pytest.mark.parametrize("where", NONSENSE)
def test_numbers_that_make_no_sense_are_refused(where: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="group 'g'"):
        placed("g", **where)


def test_tables_of_a_group_are_divided_alike() -> None:
    for tables, partitions in (((table("t", partitioned=True),), 1), ((table("t"),), 2)):
        with pytest.raises(Unreplicable, match="divided alike"):
            placed("g", *tables, partitions=partitions)
    placed("g", table("t", partitioned=True), table("mine", local_content=True), partitions=2)


def test_what_is_deleted_stays_deleted() -> None:
    with pytest.raises(Unreplicable, match="tombstones=True"):
        placed("g", table("t", tombstones=False))
    placed("g", table("t", tombstones=False, local_content=True))
    Placed(group=Group("g", (table("t", tombstones=False),), reconcile=lambda *_: None))


def test_a_key_is_in_the_partition_it_begins_with() -> None:
    for key in ((3,), (3, "x"), encode((3, "x"))):
        assert MANY.partition_of(key) == 3
        assert ONE.partition_of(key) == 0
        assert MANY.partition_of_all([key, (3, "y")]) == 3
        assert ONE.partition_of_all([key, (1,)]) == 0


@pytest.mark.parametrize("key", [(4,), (-1,), ("x",), (None,), (), (True,)])
def test_a_key_in_no_partition_is_refused(key: tuple[object, ...]) -> None:
    with pytest.raises(NotOnePartition):
        MANY.partition_of(key)
    with pytest.raises(NotOnePartition):
        MANY.partition_of_all([key])


def test_what_is_no_key_is_refused() -> None:
    for key in ([1], 1, "x", None, b""):
        with pytest.raises(KeyNotStorable):
            MANY.partition_of(key)  # type: ignore[arg-type]


def test_keys_of_several_partitions_or_of_none_are_refused() -> None:
    for group in (ONE, MANY):
        with pytest.raises(NotOnePartition):
            group.partition_of_all([])
    with pytest.raises(NotOnePartition, match="divide keys"):
        MANY.partition_of_all([(1,), (2,)])


def test_a_store_knows_no_number_of_the_only_partition() -> None:
    assert (ONE.in_store(0), MANY.in_store(0), MANY.in_store(3)) == (None, 0, 3)
