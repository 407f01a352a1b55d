"""Registrations that wait until a majority has pledged their partition: a round trip, once for each claim.

Whoever asks isn't sent away for that, as it would come back only after a pause. That a majority has pledged is noted as
soon as it is so, whoever asked and whether anybody waits still: only then do the partition's next primaries know of it.
A request that waits holds a PIN: this module must never show it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from node.routing.state import Awaiting, RoutingState

WAIT_MS: Final = 500
"""What hasn't been pledged by then is rather not pledged soon: the members whose word is missing aren't reached."""


def may_register(state: RoutingState, p: int) -> bool:
    """Whether numbers of a partition may be given out at once."""
    if not state.ways.may_register(p):
        return False
    state.unsettled.discard(p)
    state.unpledged.discard(p)
    return True


def ask(state: RoutingState, p: int) -> bool:
    """Whether they may be as soon as a majority has pledged it; that is asked for."""
    if not state.ways.may_be_pledged(p):
        return False
    if not may_register(state, p):
        state.unsettled.add(p)
    return True


def add(state: RoutingState, p: int, put: Callable[[], None], refuse: Callable[[], None]) -> bool:
    """Have a request wait, unless too many do. One of the two is called later."""
    if len(state.awaiting) >= state.settings.asks_max:
        return False
    state.awaiting.append(Awaiting(p, state.mail.now + WAIT_MS, put, refuse))
    return True


def pledged(state: RoutingState, p: int) -> None:
    """Another member has pledged the partition, or its claim is another one."""
    if p in state.unsettled:
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
    may = {p: p in state.served and may_register(state, p) for p in partitions}
    for p in partitions.difference(state.served):
        state.unsettled.discard(p)
        state.unpledged.discard(p)
    for one in waiting:
        if may.get(one.part):
            one.put()
        elif one.until <= now or one.part not in state.served:
            if one.part in state.served and state.ways.may_be_pledged(one.part):
                state.counts.asks_unpledged += 1
                state.unpledged.add(one.part)
            one.refuse()
        else:
            state.awaiting.append(one)
