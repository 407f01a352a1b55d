"""The probe of failovers: whom it watches, and what counts as service."""

import pytest

from ops.bench.failover import PAUSE_S, Pair, _first, pairs_of
from ops.bench.identities import number_of
from ops.bench.session import LoadError

VICTIM, OTHER = b"victim..", b"other..."


def partition_of(number: int) -> int:
    return (number - number_of(0)) % 10


def test_recipients_are_of_the_victims_partitions_one_each() -> None:
    claims = {p: VICTIM if p < 4 else OTHER for p in range(10)}
    pairs = pairs_of(40, partition_of, claims, VICTIM, [71, 72], 3)
    assert pairs == [
        Pair(0, 20, (71, 72), 0),
        Pair(1, 21, (72, 71), 1),
        Pair(2, 22, (71, 72), 2),
    ]
    assert all(pair.sender < 20 <= pair.recipient for pair in pairs), "nobody does both"


def test_what_comes_while_the_node_dies_is_no_service() -> None:
    assert _first([9.0, 10.0 + PAUSE_S / 2, 12.5, 12.6], 10.0, "accepted") == 2.5
    with pytest.raises(LoadError, match="nothing was accepted"):
        _first([9.0, 10.01], 10.0, "accepted")
