"""Tickets: whose they are, and that none is another session's."""

from hypothesis import given
from hypothesis import strategies as st

from node.routing.seats import NUMBER_SHIFT, NUMBERS, PARTITION, PLACES_MAX, Seats, partition_in
from node.wire.limits import NUMBER_MAX
from tests.node.routing.stage import Session


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(0, NUMBER_MAX))
def test_a_ticket_is_its_sessions_until_that_ends_and_nobodys_afterwards(steps: list[int], last: int) -> None:
    """0 … 2: one more comes. 3 … 5: one of those that are there goes."""
    seats, there, gone = Seats(), list[Session](), list[Session]()
    for step in steps:
        if step < 3:
            session = Session()
            last = seats.take(session, 5, last)
            assert 0 < last == session.ticket <= NUMBER_MAX
            there.append(session)
        elif there:
            session = there.pop(step % len(there))
            seats.leave(session)
            gone.append(session)
        assert len(seats) == len(there)
        assert all(seats.get(one.ticket) is one for one in there)
        assert not any(one.ticket in seats for one in gone)
    assert len({one.ticket for one in (*there, *gone)}) == len(there) + len(gone)


def test_places_are_taken_again_and_go_with_the_last_session() -> None:
    seats, sessions, last = Seats(), [Session() for _ in range(10)], 0
    for session in sessions:
        last = seats.take(session, 5, last)
    for session in sessions[:9]:
        seats.leave(session)
    places = {session.ticket % PLACES_MAX for session in sessions}
    again = [Session() for _ in range(9)]
    for session in again:
        last = seats.take(session, 5, last)
    assert {session.ticket % PLACES_MAX for session in (*again, sessions[9])} == places
    for session in (*again, sessions[9]):
        seats.leave(session)
    assert len(seats) == 0
    assert seats.take(Session(), 5, last) % PLACES_MAX == 1


def test_numbers_begin_anew_and_no_ticket_is_none() -> None:
    seats, session = Seats(), Session()
    assert seats.take(session, 0, (NUMBERS << NUMBER_SHIFT) - 1) == 1
    assert seats.get(1) is session
    assert seats.get(0) is None
    assert seats.get(NUMBER_MAX) is None


@given(st.integers(0, 5_000), st.integers(0, NUMBER_MAX))
def test_a_ticket_says_its_partition_whatever_number_it_has(p: int, last: int) -> None:
    seats, session = Seats(), Session()
    ticket = seats.take(session, p, last)
    assert partition_in(ticket) == p & PARTITION
    assert seats.get(ticket) is session
    assert seats.take(Session(), p, ticket) > ticket or ticket >> NUMBER_SHIFT == NUMBERS - 1
