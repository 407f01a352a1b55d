"""Sessions by their tickets, as a list: a ticket has its place in it. A dictionary costs each session 40 bytes more.

A ticket also has a number that goes up with each session, so that what is still on its way to one session never
reaches the next one at its place; it begins anew after four million, when nothing is on its way any more. And it says
its user's partition, for the primary, which needs no index of tickets then (`dormant`).
"""

from array import array
from typing import TYPE_CHECKING, Final

from node.wire.limits import NUMBER_MAX

if TYPE_CHECKING:
    from node.routing.surroundings import Phone

PLACE_BITS: Final = 21
PLACES_MAX: Final = 1 << PLACE_BITS
"""The first one is nobody's: no ticket is 0."""
PLACE: Final = PLACES_MAX - 1
PARTITION_BITS: Final = 10
PARTITION: Final = (1 << PARTITION_BITS) - 1
NUMBER_SHIFT: Final = PLACE_BITS + PARTITION_BITS
NUMBERS: Final = 1 << 22
"""So a ticket is at most what a number may be on a link."""
assert (NUMBERS << NUMBER_SHIFT) - 1 <= NUMBER_MAX


def partition_in(ticket: int) -> int:
    """The partition that it says, as far as it has room for it."""
    return ticket >> PLACE_BITS & PARTITION


class Seats:
    """`get`, `len`, `in`: as of a dictionary."""

    __slots__ = ("_free", "_places")

    def __init__(self) -> None:
        self._places: list[Phone | None] = [None]
        self._free = array("I")

    def __len__(self) -> int:
        return len(self._places) - 1 - len(self._free)

    def __contains__(self, ticket: int) -> bool:
        return self.get(ticket) is not None

    def get(self, ticket: int) -> "Phone | None":
        """Whose ticket it is; None if its session has ended."""
        try:
            session = self._places[ticket & PLACE]
        except IndexError:
            return None
        return session if session is not None and session.ticket == ticket else None

    def take(self, session: "Phone", p: int, last: int) -> int:
        """Give it a ticket, which is another one than ``last``, the one that was given last, and those before.
        p: its user's partition."""
        if self._free:
            place = self._free.pop()
            self._places[place] = session
        else:
            place = len(self._places)
            assert place < PLACES_MAX
            self._places.append(session)
        number = ((last >> NUMBER_SHIFT) + 1) % NUMBERS
        session.ticket = number << NUMBER_SHIFT | (p & PARTITION) << PLACE_BITS | place
        return session.ticket

    def leave(self, session: "Phone") -> None:
        """It has ended."""
        place = session.ticket & PLACE
        assert self._places[place] is session
        self._places[place] = None
        if len(self._free) + 2 < len(self._places):
            self._free.append(place)
        else:  # it was the last one
            self._places = [None]
            self._free = array("I")
