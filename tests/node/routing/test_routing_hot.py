"""What is checked and encoded in a hurry is checked and encoded as everything else is."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.routing import codes, hot, reading
from node.routing.seats import NUMBER_SHIFT, PARTITION, Seats
from node.wire.limits import BODY_MAX, NUMBER_MAX, USER_MAX
from replication.zeromq import words
from tests.node.routing.stage import Session

NUMBERS = st.sampled_from((1, 2, 23, 24, 255, 256, 65_536, 2**32 - 1, 2**32, 2**48 - 1, NUMBER_MAX))
USERS = st.sampled_from((1, 4_915_112_345_678, USER_MAX))
STREAMS = st.binary(min_size=8, max_size=8)
BODIES = st.sampled_from((b"", b"x", bytes(23), bytes(24), bytes(255), bytes(256), bytes(BODY_MAX)))
COUNTERS = st.sampled_from((0, 1, 2**32, 2**48 - 1))
SENDS = st.tuples(
    st.just(codes.SEND),
    NUMBERS,
    NUMBERS,
    COUNTERS,
    USERS,
    USERS,
    STREAMS,
    NUMBERS,
    NUMBERS,
    BODIES | st.none(),
)
DELIVERS = st.tuples(
    st.just(codes.DELIVER), NUMBERS, NUMBERS, USERS, STREAMS, NUMBERS, st.integers(0, 255), NUMBERS, BODIES
)
ACKS = st.tuples(st.just(codes.ACK), USERS, USERS, STREAMS, NUMBERS, NUMBERS)
ACCEPTED = st.tuples(st.just(codes.ACCEPTED), NUMBERS, USERS, NUMBERS, NUMBERS, st.integers(0, 2))
READS = st.tuples(st.just(codes.READ), USERS, USERS, STREAMS, NUMBERS)
FREQUENT = SENDS | DELIVERS | ACKS | ACCEPTED
ODD: st.SearchStrategy[Any] = st.sampled_from(
    (0, -1, True, 256, 2**53, 2**60, 10**15, 1.0, None, b"", bytes(7), bytes(9), bytes(BODY_MAX + 1), "x", [])
)


@given(FREQUENT | READS)
@settings(max_examples=150)
def test_what_is_encoded_says_the_same(message: tuple[Any, ...]) -> None:
    data = hot.encoded(message)
    if data is not None:
        assert message[0] in (codes.SEND, codes.DELIVER, codes.ACK, codes.ACCEPTED)
        assert words.read(words.alone(data)) == [words.MESSAGES, list(message)]


@pytest.mark.parametrize("small", [0, 23, 24, 2**32 - 1])
@pytest.mark.parametrize("body", [b"", bytes(120), bytes(BODY_MAX)])
def test_numbers_below_four_bytes_are_encoded_here(small: int, body: bytes) -> None:
    for message in (
        (codes.SEND, small, small, 2**41, USER_MAX, USER_MAX, bytes(8), small, small, body),
        (codes.DELIVER, small, small, USER_MAX, bytes(8), small, 1, 2**41, body),
        (codes.ACK, USER_MAX, USER_MAX, bytes(8), small, small),
        (codes.ACCEPTED, 2**53 - 1, USER_MAX, small, small, 2),
    ):
        data = hot.encoded(message)
        assert data is not None
        assert words.read(words.alone(data)) == [words.MESSAGES, list(message)]


def test_whatever_ticket_a_session_has_it_is_encoded_here() -> None:
    session = Session()
    for last in (0, NUMBER_MAX - (1 << NUMBER_SHIFT)):
        ticket = Seats().take(session, PARTITION, last)
        for message in (
            (codes.SEND, ticket, 1, 2**41, USER_MAX, USER_MAX, bytes(8), 1, 1, b""),
            (codes.DELIVER, ticket, 1, USER_MAX, bytes(8), 1, 1, 2**41, b""),
            (codes.ACCEPTED, ticket, USER_MAX, 1, 1, 0),
        ):
            data = hot.encoded(message)
            assert data is not None
            assert words.read(words.alone(data)) == [words.MESSAGES, list(message)]


@given(FREQUENT)
@settings(max_examples=150)
def test_what_is_frequent_needs_no_second_look(message: tuple[Any, ...]) -> None:
    assert hot.is_sound(list(message))


@given(FREQUENT | READS, st.lists(st.tuples(st.integers(1, 9), ODD), max_size=2), st.integers(0, 2))
@settings(max_examples=400)
def test_nothing_is_sound_that_isnt_taken_as_it_is(
    message: tuple[Any, ...], odd: list[tuple[int, Any]], more: int
) -> None:
    changed = [*message, *[None] * more]
    for place, value in odd:
        if place < len(changed):
            changed[place] = value
    if hot.is_sound(changed):
        taken = list(changed)
        assert reading.take(reading.MESSAGES, taken)
        assert taken == changed
    else:
        assert message[0] == codes.READ or more or odd


def test_whatever_is_cut_off_is_not_sound() -> None:
    message = [codes.SEND, 1, 1, 1, 1, 2, bytes(8), 1, 1, b"x"]
    assert hot.is_sound(message)
    assert not any(hot.is_sound(message[:length]) for length in range(1, len(message)))
