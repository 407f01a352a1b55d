"""A directory that was restored, cloned or rolled back can't pass for its past self."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from store import incarnation
from store.errors import DamagedStore
from store.incarnation import History
from store.limits import INCARNATIONS_KEPT


def test_each_life_begins_after_the_last_one_ended() -> None:
    history = History(()).begin(11, 0, 1).begin(22, 50, 2)
    assert [(life.id, life.first) for life in history.lives] == [(11, 1), (22, 51)]
    assert history.current.id == 22


def test_a_position_is_good_only_inside_what_its_life_wrote() -> None:
    history = History(()).begin(11, 0, 1).begin(22, 50, 2)
    assert history.position(11, 30, head=70) == 30
    assert history.position(11, 50, head=70) == 50
    assert history.position(11, 51, head=70) == 0
    assert history.position(22, 50, head=70) == 50
    assert history.position(22, 70, head=70) == 70
    assert history.position(22, 71, head=70) == 0
    assert history.position(22, 49, head=70) == 49  # it began with what the one before it had left
    assert history.position(33, 10, head=70) == 0


def test_who_wrote_a_sequence() -> None:
    history = History(()).begin(11, 0, 1).begin(22, 50, 2)
    lives = [history.wrote(sequence) for sequence in (1, 50, 51, 999)]
    assert [life.id if life else None for life in lives] == [11, 11, 22, 22]
    assert History(()).wrote(5) is None


@given(st.lists(st.integers(0, 100), max_size=6), st.integers(0, 5), st.integers(0, 5), st.data())
def test_after_a_rollback_no_position_beyond_it_is_believed(
    writes: list[int], lives: int, before: int, data: st.DataObject
) -> None:
    # One directory lives on and writes; a copy of it, taken earlier, is put in its place and opened.
    sequence, number = 0, 1
    history = History(()).begin(number, sequence, 0)
    for count in writes:
        sequence += count
        number += 1
        history = history.begin(number, sequence, 0)
    copy, copied_at = history, sequence
    seen = sequence + data.draw(st.integers(1, 50))  # a peer followed the original beyond the copy
    peer = (history.current.id, seen)
    assert history.position(*peer, head=seen) == seen
    rolled_back = copy.begin(number + 1000, copied_at, 0)
    head = copied_at + data.draw(st.integers(0, 100))
    assert rolled_back.position(*peer, head=head) == 0
    # Whoever was not ahead of the copy goes on from where they were.
    assert rolled_back.position(history.current.id, copied_at, head=head) == copied_at


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2**40)), max_size=20))
def test_what_was_encoded_is_decoded(steps: list[tuple[int, int]]) -> None:
    history, sequence = History(()), 0
    for number, (step, now) in enumerate(steps):
        history = history.begin(number, sequence, now)
        sequence += step
    assert incarnation.decode(incarnation.encode(history)) == history


def test_only_so_many_are_remembered_and_the_oldest_go_first() -> None:
    history = History(())
    for number in range(INCARNATIONS_KEPT + 5):
        history = history.begin(number, number, 0)
    assert len(history.lives) == INCARNATIONS_KEPT
    assert history.position(0, 1, head=9_999) == 0
    assert history.current.id == INCARNATIONS_KEPT + 4


@pytest.mark.parametrize("data", [b"\xff", b"\x00", b"\x81\x01", b"\x82\x83\x01\x05\x00\x83\x02\x01\x00"])
def test_a_damaged_list_is_called_so(data: bytes) -> None:
    with pytest.raises(DamagedStore):
        incarnation.decode(data)
