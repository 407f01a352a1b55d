"""The edge: at which primary a partition may be used, and what is said there first.

A partition is *open* at one node: what is for it goes there and nowhere else, and only that node's answers count. It
is opened with a word of its own before anything else, so a primary never looks at what was sent before it began to
serve, or before it forgot what it had: it turns the partition away, and tells when it is to be opened again. On
opening, everything that is kept goes first, each pair in order, and the sessions are announced.
"""

from collections import deque

from node.routing import codes, hosting, keeping
from node.routing.state import ANNOUNCED_PER_TICK_MAX, Kept, Part, RoutingState
from node.routing.surroundings import Phone


def is_needed(part: Part) -> bool:
    """Whether anybody here has to do with it."""
    return bool(part.lines or part.sessions)


def want(state: RoutingState, part: Part) -> bool:
    """See that it is open; False if it can't be now, and is tried again until it is."""
    if part.open:
        return True
    tried = part.tried
    if open_at_primary(state, part):
        return True
    _wait(state, part, tried)
    return False


def _wait(state: RoutingState, part: Part, tried: int) -> None:
    """It is needed and not open, since now, or for longer if it was tried not long ago."""
    now = state.mail.now
    if not part.since or now - tried > state.settings.patience_ms:
        part.since = now
    state.waiting[part.number] = part


def try_again(state: RoutingState, part: Part) -> bool:
    """Somebody sends to a partition that nobody served for as long as sends are kept. Whether it is worth keeping one:
    it could be opened, or wasn't tried for long."""
    tried, now = part.tried, state.mail.now
    if now - tried < state.settings.reopen_ms:
        return False
    if open_at_primary(state, part):
        return True
    if now - tried <= state.settings.patience_ms:
        return False
    part.since = now
    return True


def open_at_primary(state: RoutingState, part: Part) -> bool:
    """Open it at whoever is its primary, if that node can be reached and, as far as is known here, serves."""
    ways, p = state.ways, part.number
    target = ways.primary_of(p)
    part.tried = state.mail.now
    if target is None:
        return False
    if target == ways.me:
        if p not in state.served:
            return False
    else:
        peer = state.peers.get(target)
        if peer is None or not (peer.connected and peer.sessions):
            return False
        if not ways.send(target, codes.MESSAGES, (codes.OPEN, p)):
            return False
    part.target = target
    part.open = True
    part.before, part.since = part.since, 0
    state.waiting.pop(p, None)
    state.counts.opened += 1
    part.unsent = None
    for line in part.lines.values():
        for n in sorted(line.kept):
            kept = line.kept[n]
            state.counts.resent += kept.sent
            kept.sent = False
            wait(part, kept)
    part.announce = part.sessions[::-1]
    if part.unsent or part.announce:
        state.moving[p] = part
        move(state, part)
    return True


def wait(part: Part, kept: Kept) -> None:
    """To be sent when all that waits already is. Few partitions have anything that waits: a queue for each would be
    half of what a node holds at its start."""
    if part.unsent is None:
        part.unsent = deque()
    part.unsent.append(kept)


def close(state: RoutingState, part: Part) -> None:
    """Nothing that was sent is worth anything any more; opened again as soon as it can be."""
    if part.open:
        part.open = False
        state.counts.closed += 1
    part.unsent = None
    part.announce.clear()
    state.moving.pop(part.number, None)
    if is_needed(part):
        if not part.since:
            part.since = _unserved_since(state, part)
        state.waiting[part.number] = part


def _unserved_since(state: RoutingState, part: Part) -> int:
    """Now; if its primary was out of reach before its link was down, since the oldest send that it didn't answer."""
    oldest = state.mail.now
    if part.target is not None and part.target != state.ways.me and state.ways.is_cut_off(part.target):
        for line in part.lines.values():
            oldest = min(oldest, next(iter(line.kept.values())).at)
    return oldest


def reopen(state: RoutingState, part: Part) -> None:
    """Begin anew, at whoever is its primary now. If that can't be now, `close` has said since when it is waited
    for. Not `want`: to it that were now, for while a partition is open nobody tries to open it."""
    close(state, part)
    if is_needed(part):
        open_at_primary(state, part)


def announce(state: RoutingState, part: Part, session: Phone) -> None:
    """A session of an open partition is to be known to its primary, or to be known anew."""
    part.announce.insert(0, session)
    state.moving[part.number] = part


def move(state: RoutingState, part: Part) -> None:
    """Say what waits to be said, as far as the link has room."""
    if part.announce and not _announce(state, part):
        return
    unsent = part.unsent
    while unsent:
        if unsent[0].line is not None and not keeping.pass_on(state, unsent[0]):
            return
        unsent.popleft()
    part.unsent = None
    if not part.announce:
        state.moving.pop(part.number, None)


def _announce(state: RoutingState, part: Part) -> bool:
    """False: the link is full."""
    target = part.target
    assert target is not None
    while part.announce and state.announcing > 0:
        some: list[Phone] = []
        while part.announce and len(some) < min(codes.ANNOUNCED_MAX, state.announcing):
            session = part.announce.pop()
            if state.sessions.get(session.user) is session:
                some.append(session)
        if not some:
            return True
        for session in some:
            session.round += 1
        state.announcing -= len(some)
        state.counts.announced += len(some)
        if target == state.ways.me:
            for session in some:
                hosting.enter(state, session)
            continue
        entries = [[one.user, *one.login, one.stream, one.ticket, one.round] for one in some]
        if not state.ways.send(target, codes.SESSIONS, (codes.ONLINE, part.number, entries)):
            part.announce.extend(reversed(some))
            state.counts.announced -= len(some)
            return False
    return True


# ---- what changes ----------------------------------------------------------------------------------------


def claimed(state: RoutingState, part: Part) -> None:
    """Its claim may be another one."""
    if part.open:
        if state.ways.primary_of(part.number) != part.target:
            reopen(state, part)
    elif is_needed(part):
        want(state, part)


def turned_away(state: RoutingState, primary: bytes, part: Part) -> None:
    """UNSERVED. If it turns the partition away each time, nobody serves it since before it was asked first: else
    what is kept would never be old enough to be given back."""
    if part.open and part.target == primary:
        before, now = part.before, state.mail.now
        close(state, part)
        if before and part.since and now - part.tried <= state.settings.patience_ms:
            part.since = before
            if now - before >= state.settings.patience_ms:
                keeping.give_up(state, part)
        part.tried = now


def called(state: RoutingState, primary: bytes, part: Part) -> None:
    """SERVED."""
    if state.ways.primary_of(part.number) == primary:
        reopen(state, part)
    elif part.target == primary and part.open:
        close(state, part)


def lost(state: RoutingState, primary: bytes) -> None:
    """What was said to this node last may be lost, or it has forgotten it."""
    for part in state.parts:
        if part.open and part.target == primary:
            reopen(state, part)


def found(state: RoutingState, primary: bytes) -> None:
    """This node can be reached."""
    for part in tuple(state.waiting.values()):
        if state.ways.primary_of(part.number) == primary:
            want(state, part)


def tick(state: RoutingState) -> None:
    """Time has passed."""
    settings, now = state.settings, state.mail.now
    state.announcing = ANNOUNCED_PER_TICK_MAX
    if now - state.looked_at >= settings.reopen_ms:
        state.looked_at = now
        for part in state.parts:
            if part.open and (part.lines or part.sessions):
                claimed(state, part)
        keeping.give_up_old(state)
    for part in tuple(state.waiting.values()):
        if not is_needed(part):
            del state.waiting[part.number]  # but not since when: who comes next is told at once
        elif now - part.tried >= settings.reopen_ms and open_at_primary(state, part):
            continue
        elif part.lines and part.since and now - part.since >= settings.patience_ms:
            keeping.give_up(state, part)
    for part in tuple(state.moving.values()):
        move(state, part)
