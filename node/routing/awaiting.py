"""Registrations that wait until a majority has pledged their partition: a round trip, once for each claim.

Whoever asks isn't sent away for that, as it would come back only after a pause. A request that waits holds a PIN: this
module must never show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.routing.state import Awaiting, RoutingState

WAIT_MS: Final = 500
"""What hasn't been pledged by then is rather not pledged soon: the members whose word is missing aren't reached."""


def add(state: RoutingState, p: int, put: Callable[[], None], refuse: Callable[[], None]) -> bool:
    """Have a request wait, unless too many do. One of the two is called later."""
    if len(state.awaiting) >= state.settings.asks_max:
        return False
    state.awaiting.append(Awaiting(p, state.mail.now + WAIT_MS, put, refuse))
    return True


def pledged(state: RoutingState, p: int) -> None:
    """Another member has pledged the partition, or its claim is another one."""
    if state.awaiting:
        state.pledged.add(p)


def flush(state: RoutingState) -> None:
    """The end of a pass."""
    due, state.pledged = state.pledged, set()
    _look(state, due)


def tick(state: RoutingState) -> None:
    """Time has passed."""
    if state.awaiting:
        _look(state, {one.part for one in state.awaiting})


def _look(state: RoutingState, partitions: set[int]) -> None:
    now = state.mail.now
    waiting, state.awaiting = state.awaiting, []
    may = {p: p in state.served and state.ways.may_register(p) for p in partitions}
    for one in waiting:
        if may.get(one.part):
            one.put()
        elif one.until <= now or one.part not in state.served:
            one.refuse()
        else:
            state.awaiting.append(one)
