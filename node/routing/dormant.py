"""Sessions at other edges that nothing here is about, as rows of bytes: an object for each, with its numbers and its
places in dictionaries, would cost as much memory as the session does at its edge.

A partition's rows stand in the order of its users. A ticket says its partition (`seats`), so that a session is found
by it without an index; for those that don't, of an edge that runs the release before, there is one. This module must
never know what a session is for, or when it may be a row.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from node.routing.logins import PACKED_SIZE
from node.routing.seats import partition_in
from node.wire.limits import STREAM_SIZE

_ROW: Final = Struct(f"<Q{PACKED_SIZE}sIH{STREAM_SIZE}s")  # ticket, login, round, number of the edge, stream
_TICKET: Final = Struct("<Q")  # with which it begins
SIZE: Final = _ROW.size
LOGIN_BELOW: Final = 1 << 8 * PACKED_SIZE
ROUND_BELOW: Final = 1 << 32
EDGES_MAX: Final = 1 << 16


class Row(NamedTuple):
    """One session. login: packed."""

    user: int
    edge: bytes
    ticket: int
    login: int
    round: int
    stream: bytes


class _Rows:
    """Of one partition."""

    __slots__ = ("rows", "users")

    def __init__(self) -> None:
        self.users = array("Q")
        self.rows = bytearray()


class Dormant:
    """All rows. A user has at most one."""

    __slots__ = ("_edges", "_numbers", "_parts", "_strays")

    def __init__(self) -> None:
        self._parts: dict[int, _Rows] = {}  # those that have any
        self._edges: list[bytes] = []  # by number
        self._numbers: dict[bytes, int] = {}
        # (edge, ticket) → partition, where the ticket doesn't say it.
        self._strays: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return sum(len(one.users) for one in self._parts.values())

    def __bool__(self) -> bool:
        return bool(self._parts)

    def put(self, p: int, row: Row) -> bool:
        """Keep it. False: one of its numbers is larger than any that comes up."""
        number = self._numbers.get(row.edge)
        if number is None:
            number = len(self._edges)
            if number >= EDGES_MAX:
                return False
            self._edges.append(row.edge)
            self._numbers[row.edge] = number
        if row.login >= LOGIN_BELOW or row.round >= ROUND_BELOW:
            return False
        login = row.login.to_bytes(PACKED_SIZE, "little")
        packed = _ROW.pack(row.ticket, login, row.round, number, row.stream)
        part = self._parts.get(p)
        if part is None:
            part = self._parts[p] = _Rows()
        users = part.users
        i = bisect_left(users, row.user)
        assert i == len(users) or users[i] != row.user, f"two rows of {row.user}"
        users.insert(i, row.user)
        part.rows[i * SIZE : i * SIZE] = packed
        if partition_in(row.ticket) != p:
            self._strays[number, row.ticket] = p
        return True

    def take(self, p: int, user: int) -> Row | None:
        """The user's, which is kept no longer."""
        part = self._parts.get(p)
        if part is None:
            return None
        users = part.users
        i = bisect_left(users, user)
        if i == len(users) or users[i] != user:
            return None
        row = self._row(part, i)
        self._delete(p, part, i)
        return row

    def take_all(self, p: int) -> list[Row]:
        """The partition's, which are kept no longer."""
        part = self._parts.pop(p, None)
        if part is None:
            return []
        rows = [self._row(part, i) for i in range(len(part.users))]
        if self._strays:
            self._forget_strays(rows)
        return rows

    def forget(self, edge: bytes, ticket: int) -> None:
        """The session has ended, if it is kept here."""
        number = self._numbers.get(edge)
        if number is None:
            return
        p = self._strays.get((number, ticket), partition_in(ticket))
        part = self._parts.get(p)
        if part is None:
            return
        rows, wanted = part.rows, _TICKET.pack(ticket)
        at = rows.find(wanted)
        while at >= 0:
            i, within = divmod(at, SIZE)
            if not within and _ROW.unpack_from(rows, at)[3] == number:
                self._delete(p, part, i)
                return
            at = rows.find(wanted, at + 1)

    def forget_edge(self, edge: bytes) -> None:
        """Nothing of this edge is kept."""
        number = self._numbers.get(edge)
        if number is None:
            return
        for p, part in tuple(self._parts.items()):
            kept = [i for i, row in enumerate(_ROW.iter_unpack(part.rows)) if row[3] != number]
            if not kept:
                del self._parts[p]
            elif len(kept) < len(part.users):
                part.users = array("Q", [part.users[i] for i in kept])
                part.rows = bytearray().join(part.rows[i * SIZE : (i + 1) * SIZE] for i in kept)
        if self._strays:
            self._strays = {key: p for key, p in self._strays.items() if key[0] != number}

    def __iter__(self) -> Iterator[tuple[int, Row]]:
        """(partition, row): of all of them, for tests and simulations."""
        for p, part in self._parts.items():
            for i in range(len(part.users)):
                yield p, self._row(part, i)

    def check(self) -> None:
        """Assert that everything is where it is looked for."""
        strays = {}
        for p, part in self._parts.items():
            users = list(part.users)
            assert users, f"no row of partition {p}, and kept"
            assert users == sorted(set(users)), f"not in order: partition {p}"
            assert len(part.rows) == len(users) * SIZE, f"partition {p}"
            for row in _ROW.iter_unpack(part.rows):
                if partition_in(row[0]) != p:
                    strays[row[3], row[0]] = p
        assert self._strays == strays

    def _row(self, part: _Rows, i: int) -> Row:
        ticket, login, announcement, number, stream = _ROW.unpack_from(part.rows, i * SIZE)
        return Row(
            part.users[i], self._edges[number], ticket, int.from_bytes(login, "little"), announcement, stream
        )

    def _delete(self, p: int, part: _Rows, i: int) -> None:
        if self._strays:
            self._forget_strays([self._row(part, i)])
        del part.users[i]
        del part.rows[i * SIZE : (i + 1) * SIZE]
        if not part.users:
            del self._parts[p]

    def _forget_strays(self, rows: list[Row]) -> None:
        for row in rows:
            self._strays.pop((self._numbers[row.edge], row.ticket), None)
