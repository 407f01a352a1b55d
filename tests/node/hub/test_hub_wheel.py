"""The timer wheel against the dumbest thing that does the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.hub.wheel import SECONDS_MAX, SLOTS, Wheel


class Thing:
    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.due = 0


def due_within(wheel, entries, seconds):
    """(second, descriptor) of everything that comes due."""
    found = []
    for _ in range(seconds):
        wheel.advance()
        found += [(wheel.tick, entry.fd) for entry in wheel.take(entries, 1_000)]
    return found


@pytest.mark.parametrize("seconds", [1, 2, 17, SECONDS_MAX])
def test_due_when_said(seconds):
    wheel, things = Wheel(), [Thing(0)]
    wheel.place(things[0], seconds)
    assert due_within(wheel, things, 2 * SLOTS) == [(seconds, 0)]


@pytest.mark.parametrize(("seconds", "means"), [(-5, 1), (0, 1), (SLOTS, SECONDS_MAX), (10**9, SECONDS_MAX)])
def test_what_is_out_of_range_is_brought_into_it(seconds, means):
    wheel, things = Wheel(), [Thing(0)]
    wheel.place(things[0], seconds)
    assert due_within(wheel, things, 2 * SLOTS) == [(means, 0)]


def test_the_last_placing_counts():
    wheel, things = Wheel(), [Thing(0)]
    wheel.place(things[0], 5)
    wheel.place(things[0], 9)
    assert due_within(wheel, things, 20) == [(9, 0)]


def test_placed_twice_for_the_same_second_is_due_once():
    wheel, things = Wheel(), [Thing(0)]
    wheel.place(things[0], 5)
    wheel.place(things[0], 5)
    assert due_within(wheel, things, 20) == [(5, 0)]


def test_a_closed_connection_is_not_due_and_not_kept():
    wheel, things = Wheel(), [Thing(0)]
    wheel.place(things[0], 5)
    things[0] = None
    assert due_within(wheel, things, 20) == []
    assert len(wheel) == 0


def test_who_has_the_number_now_is_not_mistaken_for_who_had_it():
    wheel, things = Wheel(), [Thing(0)]
    wheel.place(things[0], 5)
    things[0] = Thing(0)
    wheel.place(things[0], 9)
    assert due_within(wheel, things, 20) == [(9, 0)]


def test_what_stands_there_may_know_nothing_of_time():
    wheel = Wheel()
    wheel.place(Thing(0), 1)
    assert due_within(wheel, [object()], 3) == []


def test_taken_in_parts():
    wheel, things = Wheel(), [Thing(fd) for fd in range(10)]
    for thing in things:
        wheel.place(thing, 1)
    wheel.advance()
    taken = []
    while wheel.has_due:
        part = wheel.take(things, 3)
        assert len(part) <= 3
        taken += part
    assert sorted(thing.fd for thing in taken) == list(range(10))


steps = st.lists(
    st.one_of(
        st.tuples(st.just("place"), st.integers(0, 7), st.integers(1, SECONDS_MAX)),
        st.tuples(st.just("close"), st.integers(0, 7), st.none()),
        st.tuples(st.just("advance"), st.integers(1, 60), st.none()),
        st.tuples(st.just("take"), st.integers(1, 5), st.none()),
    ),
    max_size=60,
)


@given(steps)
def test_as_a_list_of_deadlines_would(steps):
    wheel = Wheel()
    things: list[Thing | None] = [Thing(fd) for fd in range(8)]
    deadlines: dict[Thing, int] = {}

    def take(count):
        for thing in wheel.take(things, count):
            assert deadlines.pop(thing) <= wheel.tick

    for verb, which, seconds in steps:
        if verb == "place":
            things[which] = things[which] or Thing(which)
            wheel.place(things[which], seconds)
            deadlines[things[which]] = wheel.tick + seconds
        elif verb == "close":
            deadlines.pop(things[which], None)
            things[which] = None
        elif verb == "advance":
            for _ in range(which):
                wheel.advance()
                take(1_000)
        else:
            take(which)
        assert all(deadline > wheel.tick for deadline in deadlines.values())
    for _ in range(SLOTS):
        wheel.advance()
        take(1_000)
    assert not deadlines
    assert len(wheel) == 0
