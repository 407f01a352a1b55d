"""The primary: sessions and senders at other edges.

The login that this node gave decides between two sessions of a user, wherever they are: the lower one is refused, or
ends. So two edges that announce the same user come to the same end in either order.
"""

from collections.abc import Collection
from functools import partial

from node.mail import presence
from node.mail.state import Handle
from node.routing import codes, dormancy, opening, seating
from node.routing.homes import home_once
from node.routing.state import Login, Origin, Peer, Remote, RoutingState
from node.routing.surroundings import Phone
from node.wire import errors

ENDS_MAX: int = 100_000
"""Sessions at one edge that are to be closed, while the link there is full. Of one more the partition is opened anew,
and the edge hears of it when it announces the session again."""


ORIGIN_ANSWERS: int = 2
"""For so many times as long as an edge waits for an answer it is remembered where a sender spoke last."""
FORGOTTEN_PER_TICK_MAX: int = 10_000
"""Senders."""

LOWER: int = errors.TIMEOUT
"""Told to a session that has a lower login than another one of its device, when both are announced: a phone that is
still there connects again, and is the newer one then. (`superseded` would make it give up.)"""


def next_login(state: RoutingState, p: int) -> Login:
    """What a login of the partition is given: higher than any before it. The clock goes on where a restart
    forgets."""
    state.counter = max(state.counter + 1, state.mail.now)
    return state.ways.epoch_of(p), state.counter


# ---- partitions ------------------------------------------------------------------------------------------


def opened(state: RoutingState, peer: Peer, p: int) -> None:
    """OPEN."""
    if p not in state.served:
        turn_away(state, peer, p)
    elif p in peer.notices:
        peer.notices[p] = codes.SERVED  # it hasn't heard of what was forgotten since, and opens it once more
    else:
        peer.opened.add(p)


def turn_away(state: RoutingState, peer: Peer, p: int) -> None:
    """This node doesn't serve it; it will tell when it does."""
    peer.opened.discard(p)
    peer.notices[p] = codes.UNSERVED
    state.wanting.setdefault(p, {})[peer.node] = None


def serve(state: RoutingState, p: int) -> None:
    """This node serves it from now on: those who wanted it may open it. Under another claim than before nothing is new:
    what was forgotten is forgotten at `cease`, and a session must not enter mail twice without having left."""
    if p in state.served:
        return
    state.served.add(p)
    for node in state.wanting.pop(p, ()):
        peer = state.peers.get(node)
        if peer is not None:
            peer.notices[p] = codes.SERVED
    part = state.parts[p]
    if part.open:
        opening.reopen(state, part)
    elif opening.is_needed(part):
        opening.want(state, part)


def cease(state: RoutingState, partitions: Collection[int]) -> None:
    """It doesn't serve them: what edges sent for them is forgotten, and they are told so."""
    state.served.difference_update(partitions)
    for peer in state.peers.values():
        for p in peer.opened.intersection(partitions):
            turn_away(state, peer, p)
    for remote in [
        one for peer in state.peers.values() for one in peer.remotes.values() if one.part in partitions
    ]:
        withdraw(state, remote)
        turn_away(state, remote.peer, remote.part)  # it may have announced it before its OPEN has come
    for p in partitions:
        for edge in {row.edge for row in state.dormant.take_all(p)}:
            turn_away(state, state.peers[edge], p)
        part = state.parts[p]
        if part.open and part.target == state.ways.me:
            opening.reopen(state, part)


def stir(state: RoutingState, p: int) -> None:
    """Mail has dropped mailboxes of a partition that stays (see `node.mail.dropping`): what was sent to them, and isn't
    answered, is forgotten. Everybody opens it again."""
    for peer in state.peers.values():
        shut(peer, p)
    part = state.parts[p]
    if part.open and part.target == state.ways.me:
        opening.reopen(state, part)


def shut(peer: Peer, p: int) -> None:
    """An answer to a send is lost: the edge opens the partition again, and sends what it keeps."""
    if p in peer.opened:
        peer.opened.discard(p)
        peer.notices[p] = codes.SERVED


# ---- sessions --------------------------------------------------------------------------------------------


def remote_of(state: RoutingState, user: int) -> Remote | None:
    """The user's session at another edge. Mail has it, unless it was announced a moment ago, or can't be let in, or
    nothing is about it."""
    handle = state.mail.sessions.get(user)
    if isinstance(handle, Remote):
        return handle
    coming = state.coming.get(user)
    if coming is None and handle is None:
        return dormancy.wake(state, home_once(state, user), user)
    return coming


def forget_coming(state: RoutingState, remote: Remote) -> None:
    """It isn't about to come any more: mail has it, or it is gone."""
    if state.coming.get(remote.user) is remote:
        del state.coming[remote.user]


def enter(state: RoutingState, session: Phone) -> None:
    """A session here, of a user whose primary is this node."""
    remote = remote_of(state, session.user)
    if remote is not None:
        if remote.login > session.login:
            state.counts.superseded += 1
            seating.expel(state, session, LOWER)
            return
        dismiss(state, remote, errors.SUPERSEDED)
    state.accounts.judge_device(
        session.user, session.stream, partial(_judged_here, state, session, session.round)
    )


def _judged_here(state: RoutingState, session: Phone, announcement: int, code: int) -> None:
    part = state.parts[home_once(state, session.user)]
    if (
        state.sessions.get(session.user) is not session
        or session.round != announcement
        or not part.open
        or part.target != state.ways.me
    ):
        return
    code = code or _unwelcome(state, session.user)
    if code:
        state.counts.refused += 1
        seating.expel(state, session, code)
    elif state.mail.sessions.get(session.user) is not session and (
        state.mail.arriving.get(session.user) is not session
    ):  # who never left mail must not enter it again: it would be the same handle with another window
        presence.online(state.mail, session.user, session)


def _unwelcome(state: RoutingState, user: int) -> int:
    return errors.OVERLOADED if user in state.mail.wipes else 0


def online(
    state: RoutingState, peer: Peer, p: int, sessions: list[tuple[int, int, int, bytes, int, int]]
) -> None:
    """ONLINE: (user, epoch, counter, stream, ticket, round)."""
    if p not in state.served:
        turn_away(state, peer, p)
        return
    p = state.parts[p].number  # one object for all of them
    for user, epoch, counter, stream, ticket, announcement in sessions:
        if home_once(state, user) == p:
            _announced(state, Remote(peer, p, user, stream, (epoch, counter), ticket, announcement))


def _announced(state: RoutingState, remote: Remote) -> None:
    user = remote.user
    here, held = state.sessions.get(user), remote_of(state, user)
    if (here is not None and here.login > remote.login) or (held is not None and held.login > remote.login):
        state.counts.superseded += 1
        end(state, remote, LOWER)
        return
    if here is not None:
        seating.expel(state, here, errors.SUPERSEDED)
    if held is not None:
        if held.peer is not remote.peer:
            dismiss(state, held, errors.SUPERSEDED)
        elif held.ticket != remote.ticket:
            state.counts.superseded += 1
            withdraw(state, held)  # an edge that announces another session has ended the one before
        elif held.round >= remote.round:
            return
        else:
            withdraw(state, held)
    state.coming[user] = remote
    remote.peer.remotes[remote.ticket] = remote
    state.accounts.judge_device(user, remote.stream, partial(_judged, state, remote))


def _judged(state: RoutingState, remote: Remote, code: int) -> None:
    if state.coming.get(remote.user) is not remote:
        return
    code = code or _unwelcome(state, remote.user)
    if code:
        state.counts.refused += 1
        dismiss(state, remote, code)
    else:
        presence.online(state.mail, remote.user, remote)


def offline(state: RoutingState, peer: Peer, ticket: int) -> None:
    """OFFLINE."""
    remote = peer.remotes.get(ticket)
    if remote is not None:
        withdraw(state, remote)
    else:
        state.dormant.forget(peer.node, ticket)
    peer.lost.pop(ticket, None)
    peer.again.pop(ticket, None)


def dismiss(state: RoutingState, remote: Remote, code: int) -> None:
    """End a session at another edge, saying why."""
    if code == errors.SUPERSEDED:
        state.counts.superseded += 1
    withdraw(state, remote)
    end(state, remote, code)


def end(state: RoutingState, remote: Remote, code: int) -> None:
    """Its edge is to close it, saying why."""
    remote.gone = True
    peer = remote.peer
    if len(peer.ends) < ENDS_MAX:
        peer.ends[remote.ticket, remote.round] = code
    else:
        state.counts.ends_dropped += 1
        peer.opened.discard(remote.part)  # if it was: a session may have been announced first
        peer.notices.setdefault(remote.part, codes.SERVED)


def withdraw(state: RoutingState, remote: Remote) -> None:
    """It isn't the user's session any more."""
    remote.gone = True
    forget_coming(state, remote)
    state.woken.pop(remote.user, None)
    remotes = remote.peer.remotes
    if remotes.get(remote.ticket) is remote:
        del remotes[remote.ticket]
    presence.offline(state.mail, remote.user, remote)


def ended(state: RoutingState, user: int, handle: Handle) -> None:
    """The mail core has forgotten the user's session: its partition was dropped, or another one that its mailbox was
    mixed with (see `node.mail.dropping`). Who stays is announced anew."""
    p = home_once(state, user)
    stays = p in state.served
    if isinstance(handle, Remote):
        live = not handle.gone
        withdraw(state, handle)
        if stays and live:
            handle.peer.again[handle.ticket] = handle.round
    elif stays:
        session = state.sessions.get(user)
        part = state.parts[p]
        if session is handle and part.open and part.target == state.ways.me:
            opening.announce(state, part, session)


def end_user(state: RoutingState, user: int, code: int) -> None:
    """End whatever session the user has, here or elsewhere."""
    remote = remote_of(state, user)
    if remote is not None:
        dismiss(state, remote, code)
    session = state.sessions.get(user)
    if session is not None:
        seating.expel(state, session, code)


# ---- senders ---------------------------------------------------------------------------------------------


def spoke(state: RoutingState, peer: Peer, ticket: int, login: Login, sender: int, stream: bytes) -> bool:
    """A sender at another edge spoke: it is answered there from now on. False: it has logged in anew since,
    elsewhere."""
    origins = state.origins
    origin = origins.pop(sender, None)
    here = state.sessions.get(sender)
    if here is not None and here.login > login:
        return False
    if origin is None:
        origins[sender] = Origin(peer, ticket, login, stream, state.mail.now)
        if len(origins) > state.settings.origins_max:
            state.counts.origins_forgotten += 1
            del origins[next(iter(origins))]
        return True
    origins[sender] = origin
    if origin.login == login and origin.peer is peer:
        origin.at = state.mail.now
        return True
    if origin.login > login:
        return False
    origins[sender] = Origin(peer, ticket, login, stream, state.mail.now)
    return True


def forget_silent(state: RoutingState) -> None:
    """Senders who were last heard so long ago that their edges wait for no answer: most of their sessions ended. Who
    spoke last stands at the end."""
    before = state.mail.now - ORIGIN_ANSWERS * state.settings.answer_ms_max
    for _ in range(min(FORGOTTEN_PER_TICK_MAX, len(state.origins))):
        sender = next(iter(state.origins))
        if state.origins[sender].at >= before:
            return
        del state.origins[sender]


def forget_sessions(state: RoutingState, peer: Peer) -> None:
    """The edge announces all of its sessions anew."""
    for remote in tuple(peer.remotes.values()):
        withdraw(state, remote)
    state.dormant.forget_edge(peer.node)
    peer.lost.clear()
    peer.again.clear()
    peer.ends.clear()


def parted(state: RoutingState, peer: Peer) -> None:
    """The link to an edge is gone, or new: nothing of it holds."""
    forget_sessions(state, peer)
    peer.opened.clear()
    peer.notices.clear()
    peer.run = None
    for sender in [sender for sender, origin in state.origins.items() if origin.peer is peer]:
        del state.origins[sender]
