"""A user's partition, remembered: the keyed hash would be a fifth of what a message costs."""

from node.routing.state import RoutingState

HOMES_MAX: int = 65_536
"""Users whose partition is remembered; then it begins anew."""


def home(state: RoutingState, user: int) -> int:
    """The user's partition."""
    homes = state.homes
    p = homes.get(user)
    if p is None:
        if len(homes) >= HOMES_MAX:
            homes.clear()
        p = homes[user] = state.ways.partition_of(user)
    return p


def home_once(state: RoutingState, user: int) -> int:
    """The same, and it isn't remembered: for what is asked once for each session, most of which say nothing."""
    p = state.homes.get(user)
    return state.ways.partition_of(user) if p is None else p
