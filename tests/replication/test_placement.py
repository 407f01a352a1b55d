"""Users fall into partitions by a keyed hash: evenly, everywhere alike, and not as one without the key expects."""

from collections import Counter

import pytest

from replication.placement import PARTITIONS, SECRET_SIZE, Placement

SECRET = bytes(range(SECRET_SIZE))


def test_it_is_a_function_of_secret_and_user() -> None:
    assert [Placement(SECRET).partition_of(user) for user in (15551230001, 15551230002, 1)] == [
        Placement(SECRET).partition_of(user) for user in (15551230001, 15551230002, 1)
    ]


def test_what_is_on_disk_stays_where_it_is() -> None:
    """These are in data directories: a change of the hash would lose every user."""
    assert [Placement(SECRET).partition_of(user) for user in (15551230001, 15551230002, 999999999999999)] == [
        315,
        699,
        617,
    ]


def test_consecutive_numbers_are_spread() -> None:
    counts = Counter(Placement(SECRET).partition_of(15550000000 + n) for n in range(102_400))
    assert len(counts) == PARTITIONS
    assert 50 < min(counts.values()) <= max(counts.values()) < 160  # 100 ± six standard deviations


def test_another_secret_is_another_placement() -> None:
    users = range(15550000000, 15550001000)
    other = Placement(bytes(SECRET_SIZE))
    same = sum(Placement(SECRET).partition_of(user) == other.partition_of(user) for user in users)
    assert same < 20


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Placement(b"short")
    with pytest.raises(ValueError, match="partitions"):
        Placement(SECRET, 0)
    with pytest.raises(OverflowError):
        Placement(SECRET).partition_of(-1)
