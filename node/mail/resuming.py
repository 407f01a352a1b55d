"""A session goes on in another process: what it has in flight is in flight still, and isn't handed over again.

It is as a login without a welcome: the box is looked at, what waits is handed over, and what is owed is told. Pairs
with messages in flight are loaded first. One that can't be is handed over once more, which a phone expects of any node.
"""

from collections.abc import Sequence
from functools import partial

from node.mail import loading, presence
from node.mail.pair import Pair
from node.mail.presence import Flight
from node.mail.state import Handle, MailState


class Resuming:
    """What is still to be loaded for one session. `flights`: of loaded pairs."""

    __slots__ = ("flights", "handle", "left", "user")

    def __init__(self, user: int, handle: Handle, left: int) -> None:
        self.user = user
        self.handle = handle
        self.left = left
        self.flights: dict[tuple[int, bytes], Flight] = {}


def resume(
    state: MailState,
    user: int,
    handle: Handle,
    flights: Sequence[tuple[int, bytes, Flight]],
    gaps: Sequence[tuple[int, int]],
) -> None:
    """``handle`` is the user's session again; BACKLOG follows, as at a login.

    Args:
        flights: (sender, stream, what is in flight of that pair).
        gaps: (recipient, n): where this user was told to go back when it sent n.
    """
    resuming = Resuming(user, handle, len(flights) + len(gaps))
    state.arriving[user] = handle
    if not resuming.left:
        _begin(state, resuming)
    for sender, stream, flight in flights:
        loading.with_pair(
            state,
            (user, sender, stream),
            partial(_loaded, state, resuming, flight),
            partial(_over, state, resuming),
            always=True,
        )
    for recipient, n in gaps:
        loading.with_pair(
            state,
            (recipient, user, handle.stream),
            partial(_told, state, resuming, n),
            partial(_over, state, resuming),
            always=True,
        )


def _loaded(state: MailState, resuming: Resuming, flight: Flight, pair: Pair) -> None:
    resuming.flights[pair.sender, pair.stream] = flight
    _over(state, resuming)


def _told(state: MailState, resuming: Resuming, n: int, pair: Pair) -> None:
    pair.gapped = max(pair.gapped, n)
    _over(state, resuming)


def _over(state: MailState, resuming: Resuming) -> None:
    resuming.left -= 1
    if not resuming.left:
        _begin(state, resuming)


def _begin(state: MailState, resuming: Resuming) -> None:
    presence.come(state, resuming.user, resuming.handle, resuming.flights)
