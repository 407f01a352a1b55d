"""Rows of sessions at other edges, against a dictionary; and what one of them costs."""

import tracemalloc
from collections.abc import Iterator
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.routing.dormant import EDGES_MAX, LOGIN_BELOW, ROUND_BELOW, Dormant, Row
from node.routing.logins import packed
from node.routing.seats import NUMBER_SHIFT, PARTITION, PLACE_BITS, PLACES_MAX
from node.wire.limits import NUMBER_MAX, USER_MAX

PARTITIONS = (0, 1, 7, PARTITION, PARTITION + 1)
"""The last one has no room in a ticket."""
EDGES = (b"a", b"b", b"c")
PLACES = 40

partitions = st.sampled_from(PARTITIONS)
edges = st.sampled_from(EDGES)
users = st.one_of(st.integers(1, 30), st.integers(USER_MAX - 5, USER_MAX))
places = st.integers(1, PLACES)


def ticket_of(p: int, place: int, stray: bool) -> int:
    """Each place has one; a stray one is as of an edge whose tickets say nothing of partitions."""
    said = (p + 1 if stray else p) & PARTITION
    return place << NUMBER_SHIFT | said << PLACE_BITS | place


class Rows(RuleBasedStateMachine):
    """Whatever comes and goes: what is kept is what the dictionary has."""

    def __init__(self) -> None:
        super().__init__()
        self.dormant = Dormant()
        self.rows: dict[int, tuple[int, Row]] = {}  # by user

    @rule(
        p=partitions, user=users, edge=edges, place=places, stray=st.booleans(),
        login=st.integers(0, LOGIN_BELOW - 1), announcement=st.integers(1, ROUND_BELOW - 1),
        stream=st.binary(min_size=8, max_size=8),
    )  # fmt: skip
    def put(
        self, p: int, user: int, edge: bytes, place: int, stray: bool, login: int, announcement: int,
        stream: bytes,
    ) -> None:  # fmt: skip
        row = Row(user, edge, ticket_of(p, place, stray), login, announcement, stream)
        if user not in self.rows and row[1:3] not in {one[1:3] for _, one in self.rows.values()}:
            assert self.dormant.put(p, row)
            self.rows[user] = (p, row)

    @rule(p=partitions, user=users)
    def take(self, p: int, user: int) -> None:
        there = self.rows.get(user)
        expected = there[1] if there is not None and there[0] == p else None
        assert self.dormant.take(p, user) == expected
        if expected is not None:
            del self.rows[user]

    @rule(p=partitions)
    def take_all(self, p: int) -> None:
        expected = sorted(row for at, row in self.rows.values() if at == p)
        assert self.dormant.take_all(p) == expected
        self.rows = {user: one for user, one in self.rows.items() if one[0] != p}

    @rule(p=partitions, edge=edges, place=places, stray=st.booleans())
    def forget(self, p: int, edge: bytes, place: int, stray: bool) -> None:
        ticket = ticket_of(p, place, stray)
        self.dormant.forget(edge, ticket)
        self.rows = {user: one for user, one in self.rows.items() if one[1][1:3] != (edge, ticket)}

    @rule(edge=edges)
    def forget_edge(self, edge: bytes) -> None:
        self.dormant.forget_edge(edge)
        self.rows = {user: one for user, one in self.rows.items() if one[1].edge != edge}

    @invariant()
    def all_is_kept(self) -> None:
        self.dormant.check()
        assert sorted(self.dormant) == sorted(self.rows.values())
        assert len(self.dormant) == len(self.rows)
        assert bool(self.dormant) == bool(self.rows)


Rows.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestRows = Rows.TestCase


@given(st.binary(min_size=8, max_size=8), st.integers(1, NUMBER_MAX), st.integers(1, NUMBER_MAX))
def test_a_ticket_is_found_where_other_bytes_are_the_same(stream: bytes, ticket: int, other: int) -> None:
    dormant = Dormant()
    rows = [
        Row(1, b"a", other, int.from_bytes(ticket.to_bytes(8, "little") + b"ab", "little"), 1, stream),
        Row(2, b"b", ticket, 1, 1, ticket.to_bytes(8, "little")),
        Row(3, b"a", ticket, 1, 1, ticket.to_bytes(8, "little")),
    ]
    for row in rows:
        assert dormant.put(0, row)
    dormant.forget(b"a", ticket)
    assert {row.user for _, row in dormant} == ({2, 3} if other == ticket else {1, 2})


def test_what_has_no_room_in_a_row_is_refused() -> None:
    dormant = Dormant()
    row = Row(1, b"a", 1, 1, 1, bytes(8))
    assert not dormant.put(0, row._replace(login=LOGIN_BELOW))
    assert not dormant.put(0, row._replace(round=ROUND_BELOW))
    assert dormant.put(0, row._replace(user=USER_MAX, ticket=NUMBER_MAX, login=LOGIN_BELOW - 1))
    for i in range(1, EDGES_MAX):
        assert dormant.put(0, row._replace(user=i, edge=i.to_bytes(3, "big")))
        dormant.take(0, i)
    assert not dormant.put(0, row._replace(edge=b"one more"))
    assert dormant.put(0, row)


def rows_of(count: int) -> Iterator[tuple[int, Row]]:
    rng = Random(4)
    for place in range(1, count + 1):
        p, user = rng.randrange(128), rng.randrange(10**11, 10**12)
        ticket = place << NUMBER_SHIFT | p << PLACE_BITS | place % PLACES_MAX
        login = packed((3, 1_700_000_000_000 + place))
        yield p, Row(user, b"edge %d" % (place % 7), ticket, login, 1, rng.randbytes(8))


def test_an_idle_session_at_another_edge_costs_its_primary_less_than_fifty_bytes() -> None:
    dormant, count = Dormant(), 10_000
    tracemalloc.start()
    try:
        for p, row in rows_of(count):
            assert dormant.put(p, row)
        del row
        bytes_each = tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()
    assert len(dormant) == count
    assert 40 <= bytes_each < 50
