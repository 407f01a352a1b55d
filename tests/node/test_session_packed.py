"""What a cluster's idle session is packed into is what it was."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.routing.logins import COUNTER_MAX
from node.seen import set_tapped, set_traced
from node.session import PackedSession, Session
from node.wire.limits import NUMBER_MAX, STREAM_SIZE

STREAM = bytes(range(STREAM_SIZE))
LOGIN = (3, 1_795_474_082_680)
TICKET = 7 << 31 | 5 << 21 | 99

streams = st.binary(min_size=STREAM_SIZE, max_size=STREAM_SIZE)
logins = st.tuples(st.integers(0, 1 << 32), st.integers(0, COUNTER_MAX))


def seated(stream: bytes = STREAM, login: tuple[int, int] = LOGIN, ticket: int = TICKET) -> Session:
    session = Session(5, "127.0.0.1", b"")
    session.stream, session.login, session.ticket = stream, login, ticket
    return session


def kept(session: Session) -> int:
    """Bytes of memory of the three, in steps of 16."""
    found = [getattr(session, name) for name in ("_login",) if hasattr(session, name)]
    for slot in ("ticket", "stream"):
        try:
            found.append(getattr(Session, slot).__get__(session))
        except AttributeError:
            continue
    return sum(-(-sys.getsizeof(one) // 16) * 16 for one in found)


@given(streams, logins, st.integers(1, NUMBER_MAX), st.permutations(["stream", "login", "ticket"]))
def test_packed_it_is_the_same(stream: bytes, login: tuple[int, int], ticket: int, asked: list[str]) -> None:
    session = seated(stream, login, ticket)
    for _ in range(2):
        session.pack()
        session.pack()
        wanted = {"stream": stream, "login": login, "ticket": ticket}
        assert [getattr(session, name) for name in asked] == [wanted[name] for name in asked]


def test_it_takes_less_memory_until_it_is_asked() -> None:
    session = seated()
    before = kept(session)
    session.pack()
    assert (before, kept(session)) == (112, 64)
    assert session.ticket == TICKET
    assert kept(session) == before


def test_another_login_of_a_packed_one_counts() -> None:
    session = seated()
    session.pack()
    session.login = (4, 1)
    assert (session.login, session.stream, session.ticket) == ((4, 1), STREAM, TICKET)


def test_one_without_a_ticket_stays_as_it_is() -> None:
    session = seated(ticket=0)
    session.pack()
    assert kept(session) == 32 + 32 + 48
    assert (session.stream, session.ticket) == (STREAM, 0)


def test_one_that_talks_is_of_the_class_whose_attributes_cost_nothing() -> None:
    session = seated()
    session.pack()
    assert type(session) is PackedSession
    assert session.stream == STREAM
    assert type(session) is Session


def test_a_look_at_a_packed_one_takes_nothing_from_it() -> None:
    session = seated()
    session.pack()
    set_traced(session, True)
    session.pack()
    assert (session.login, session.stream, session.ticket) == (LOGIN, STREAM, TICKET)
    set_tapped(session, True)
    set_traced(session, False)
    set_tapped(session, False)
    session.pack()
    assert type(session) is PackedSession
    assert (session.login, session.stream, session.ticket) == (LOGIN, STREAM, TICKET)


def test_what_no_session_has_is_missing_as_anywhere() -> None:
    session = seated()
    session.pack()
    with pytest.raises(AttributeError, match="colour"):
        session.colour  # type: ignore[attr-defined]  # noqa: B018
