"""The primary: when a session at another edge is an object, and when it is a row of `Dormant`.

Most sessions say nothing for hours. So one becomes a row as soon as mail has told all that there was at its login, and
an object again before mail, or anybody else, has to do with it. Whoever was told something stays one for a while: those
who talk aren't turned to and fro.
"""

from collections.abc import Collection
from typing import Final

from node.mail import presence
from node.mail.state import Handle
from node.routing.dormant import Row
from node.routing.homes import home
from node.routing.logins import unpacked
from node.routing.state import Remote, RoutingState

LOOKED_AT_PER_TICK_MAX: Final = 1_000
"""Sessions."""


def wake(state: RoutingState, p: int, user: int) -> Remote | None:
    """The user's session at another edge, if it was a row: an object from now on. p: the user's partition."""
    row = state.dormant.take(p, user)
    return _bring_back(state, p, row) if row is not None else None


def _bring_back(state: RoutingState, p: int, row: Row) -> Remote:
    user, peer = row.user, state.peers[row.edge]
    remote = Remote(peer, p, user, row.stream, unpacked(row.login), row.ticket, row.round)
    peer.remotes[row.ticket] = remote
    state.mail.sessions[user] = remote
    state.woken[user] = state.mail.now + state.settings.rest_ms
    return remote


class Distant:
    """Mail's way to wake them, and to say that one may rest; see `node.mail.state.Distant`."""

    __slots__ = ("_state",)

    def __init__(self, state: RoutingState) -> None:
        self._state = state

    def wake(self, user: int) -> Handle | None:
        """See there."""
        state = self._state
        return wake(state, home(state, user), user) if state.dormant else None

    def wake_all(self, partitions: Collection[int]) -> None:
        """See there."""
        state = self._state
        for p in partitions:
            for row in state.dormant.take_all(p):
                _bring_back(state, p, row)

    def rest(self, user: int) -> None:
        """See there."""
        self._state.resting.append(user)


def tick(state: RoutingState) -> None:
    """Time has passed: those to whom nothing was said meanwhile may rest."""
    woken, now = state.woken, state.mail.now
    for _ in range(min(LOOKED_AT_PER_TICK_MAX, len(woken))):
        user, due = next(iter(woken.items()))
        if due > now:
            return
        del woken[user]
        remote = state.mail.sessions.get(user)
        if isinstance(remote, Remote):
            if remote.used:
                remote.used = False
                woken[user] = now + state.settings.rest_ms
            else:
                state.resting.append(user)


def rest(state: RoutingState) -> None:
    """Make rows of those who may rest. Never while an effect of mail is to be carried out: it may hold an object."""
    if not state.resting or state.mail.out:
        return
    resting, state.resting = state.resting, []
    mail, woken = state.mail, state.woken
    owed = {key[0] for key in mail.owed_loading}
    for user in resting:
        remote = mail.sessions.get(user)
        if not isinstance(remote, Remote) or remote.gone or presence.is_busy(mail, user):
            continue  # who is busy is named again when that is over
        if remote.used or user in owed or not presence.is_still(mail, user) or user in state.coming:
            woken.setdefault(user, mail.now + state.settings.rest_ms)
        elif state.dormant.put(remote.part, remote.row()):
            del mail.sessions[user]
            del remote.peer.remotes[remote.ticket]
            woken.pop(user, None)
