"""The edge, when a new process takes this one's place: what a session has sent and nobody has answered goes with it.

All else that routing holds isn't handed over. Primaries forget an edge whose link ends, and are told of its sessions
anew by the next process; whatever they had said meanwhile they say again.
"""

from collections.abc import Iterable

from node.routing import keeping
from node.routing.state import RoutingState
from node.routing.surroundings import Phone

Sent = tuple[int, int, int, bytes | None]
"""(recipient, n, base, body); the body None: a skip."""


def sent_by(state: RoutingState, session: Phone) -> list[Sent]:
    """Unanswered, each pair's in the order of its numbers, as they would be sent to its next primary."""
    lines = state.lines.get(session.ticket, {})
    return [
        (line.recipient, n, line.kept[n].base, line.kept[n].body)
        for line in lines.values()
        for n in sorted(line.kept)
    ]


def told_back(state: RoutingState, session: Phone) -> list[tuple[int, int]]:
    """(recipient, n): it was told to come back to n, and hasn't."""
    return list(state.back.get(session.ticket, {}).items())


def hold_to(state: RoutingState, session: Phone, back: Iterable[tuple[int, int]]) -> None:
    """It was told so by another process."""
    for recipient, n in back:
        keeping.note_back(state, session.ticket, recipient, n)


def go_on_from(state: RoutingState, ticket: int) -> None:
    """Tickets up to this one were another process's: what is still said to those sessions fits none here."""
    state.ticket = max(state.ticket, ticket)
