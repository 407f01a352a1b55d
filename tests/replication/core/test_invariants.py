"""A state that contradicts itself is noticed."""

from collections.abc import Callable

import pytest

from replication.core import invariants
from replication.core.state import LIVE, NONE, SERVING, ReplicaState
from tests.replication.core.stand import Stand


def served_from_an_incomplete_copy(state: ReplicaState) -> None:
    state.parts[0].copy = NONE


def served_by_another(state: ReplicaState) -> None:
    state.parts[1].phase, state.parts[1].copy = SERVING, LIVE


def waiting_for_nobody(state: ReplicaState) -> None:
    state.waiting += 1


def in_both_lanes(state: ReplicaState) -> None:
    known = state.peers[b"B"].known
    known.echo.members |= {1}
    known.stream.members |= {1}


def complete_and_not_kept_up_to_date(state: ReplicaState) -> None:
    del state.peers[b"B"].stream.opened[0]


def offered_to_the_wrong_node(state: ReplicaState) -> None:
    state.peers[b"C"].offers[1] = 1


@pytest.mark.parametrize(
    "mistake",
    [
        served_from_an_incomplete_copy,
        served_by_another,
        waiting_for_nobody,
        in_both_lanes,
        complete_and_not_kept_up_to_date,
        offered_to_the_wrong_node,
    ],
)
def test_a_mistake_is_noticed(mistake: Callable[[ReplicaState], None]) -> None:
    state = Stand(3, partitions=2).ready()["A"].state
    invariants.check(state)
    mistake(state)
    with pytest.raises(AssertionError):
        invariants.check(state)
