"""The edge: sends of its sessions are kept, in the order of their pair, until the recipient's primary has answered.

What is answered is the phone's as well as this module's: ACCEPTED and REFUSED end a number; GAP and BUSY make the
phone come back to a number, so it and those after it are forgotten here. So what is kept is what the phone still
waits for, and may be sent to the next primary in its place.
"""

from node.mail import effects, numbering
from node.mail.state import Effect
from node.routing import codes, opening
from node.routing.homes import home
from node.routing.state import Kept, Line, Part, RoutingState
from node.routing.surroundings import Phone


def find(state: RoutingState, session: Phone, recipient: int) -> Line | None:
    """What the session has sent to this recipient, if anything is unanswered."""
    lines = state.lines.get(session.ticket)
    return lines.get(recipient) if lines is not None else None


def keep(
    state: RoutingState, session: Phone, recipient: int, n: int, base: int, body: bytes | None
) -> Kept | None:
    """Keep a send. None: the phone was told to come back, or had been told."""
    if session.ticket in state.back and _drowns(state, session.ticket, recipient, n, base):
        return None
    line = find(state, session, recipient)
    if line is None:
        part = state.parts[home(state, recipient)]
        line = Line(session, recipient, part)
    else:
        part = line.part
        before = line.kept.pop(n, None)
        if before is not None:
            _end(state, part, before)
    settings = state.settings
    now = state.mail.now
    if part.since and now - part.since >= settings.patience_ms and not opening.try_again(state, part):
        give_back(state, line, n)
        return None
    size = len(body) if body is not None else 0
    if (
        state.kept >= settings.kept_messages_max
        or part.count >= settings.kept_part_messages_max
        or state.kept_bytes + size > settings.kept_bytes_max
        or part.bytes + size > settings.kept_part_bytes_max
    ):
        state.counts.busy_full += 1
        give_back(state, line, n)
        return None
    kept = Kept(line, n, base, body, now)
    if not line.kept:
        state.lines.setdefault(session.ticket, {})[recipient] = line
        part.lines[session.ticket, recipient] = line
    line.kept[n] = kept
    part.count += 1
    part.bytes += size
    state.kept += 1
    state.kept_bytes += size
    state.counts.kept += 1
    return kept


def pass_on(state: RoutingState, kept: Kept) -> bool:
    """Send it to the primary that its partition is open at. False: there is no room in the link."""
    line = kept.line
    assert line is not None
    session = line.session
    ways = state.ways
    target = line.part.target
    assert target is not None
    if target == ways.me:
        if state.origins:
            state.origins.pop(session.user, None)
        hand_over(state, session.user, line.recipient, session.stream, kept.n, kept.base, kept.body)
    elif not ways.send(
        target,
        codes.MESSAGES,
        (
            codes.SEND,
            session.ticket,
            *session.login,
            session.user,
            line.recipient,
            session.stream,
            kept.n,
            kept.base,
            kept.body,
        ),
    ):
        return False
    kept.sent = True
    state.counts.sent += 1
    return True


def hand_over(
    state: RoutingState, sender: int, recipient: int, stream: bytes, n: int, base: int, body: bytes | None
) -> None:
    """To the mail core here."""
    if body is None:
        numbering.skip(state.mail, sender, recipient, stream, n, base)
    else:
        numbering.send(state.mail, sender, recipient, stream, n, base, body)


# ---- answers ---------------------------------------------------------------------------------------------


def answered(state: RoutingState, primary: bytes, session: Phone, effect: Effect) -> None:
    """A primary's ACCEPTED, GAP, BUSY or REFUSED, as the mail core's effect of that code, for a session here."""
    recipient: int = effect[2]
    line = find(state, session, recipient)
    part = line.part if line is not None else state.parts[home(state, recipient)]
    if part.target != primary or not part.open:
        # Whoever is its primary next says it again, of what is sent there again; or something truer.
        state.counts.stale_answers += 1
        return
    part.before = 0
    if line is not None:
        code = effect[0]
        if code == effects.ACCEPTED:
            _settle(state, line, effect[4], effect[5])
        elif code == effects.REFUSED:
            _settle(state, line, effect[4], effect[4])
        else:
            n = effect[4] + (code == effects.GAP)
            _forget_from(state, line, n)
            note_back(state, session.ticket, recipient, n)
    state.phones.outlets[effect[0]](effect)


def _settle(state: RoutingState, line: Line, first: int, last: int) -> None:
    kept = line.kept
    if first == last:
        one = kept.pop(first, None)
        if one is not None:
            _end(state, line.part, one)
    else:
        numbers = (
            range(first, last + 1) if last - first < len(kept) else [n for n in kept if first <= n <= last]
        )
        for n in numbers:
            one = kept.pop(n, None)
            if one is not None:
                _end(state, line.part, one)
    _tidy(state, line)


def give_back(state: RoutingState, line: Line, n: int, retry_ms: int = 0) -> None:
    """Its sender is to come back to ``n``; what follows it isn't kept any more."""
    _forget_from(state, line, n)
    note_back(state, line.session.ticket, line.recipient, n)
    state.counts.busy += 1
    session = line.session
    retry = retry_ms or state.settings.retry_ms
    state.phones.outlets[effects.BUSY]((effects.BUSY, session.user, line.recipient, session.stream, n, retry))


def note_back(state: RoutingState, ticket: int, recipient: int, n: int) -> None:
    """A sender was told to come back to ``n``."""
    back = state.back.setdefault(ticket, {})
    back[recipient] = n
    if len(back) > state.settings.told_max:
        del back[next(iter(back))]


def _drowns(state: RoutingState, ticket: int, recipient: int, n: int, base: int) -> bool:
    """What a phone sent before it heard that it is to come back is nobody's: it says it again when it does. If it were
    kept it would fill the room that the number needs to which it comes back."""
    back = state.back[ticket]
    told = back.get(recipient, 0)
    if 0 < base <= told < n:
        return True
    if told:
        del back[recipient]
        if not back:
            del state.back[ticket]
    return False


def give_up(state: RoutingState, part: Part) -> None:
    """Nobody served the partition for as long as sends are kept: each pair is told once."""
    for line in tuple(part.lines.values()):
        give_back(state, line, min(line.kept))


def give_up_old(state: RoutingState) -> None:
    """What was sent long ago and is unanswered, over links that stand, is given back; sooner if it went to a node that
    is out of reach: links find that out later, and nobody takes over what another cluster's node serves."""
    settings, now, ways = state.settings, state.mail.now, state.ways
    cut: dict[bytes | None, bool] = {None: False, ways.me: False}
    for lines in tuple(state.lines.values()):
        for line in tuple(lines.values()):
            part = line.part
            if part.target not in cut:
                assert part.target is not None
                cut[part.target] = ways.is_cut_off(part.target)
            waits = settings.patience_ms if cut[part.target] else settings.answer_ms_max
            if part.open and next(iter(line.kept.values())).at < now - waits:
                state.counts.unanswered += 1
                give_back(state, line, min(line.kept))


# ---- forgetting ------------------------------------------------------------------------------------------


def forget_session(state: RoutingState, session: Phone) -> None:
    """The session ended: its phone says everything again when it comes back."""
    for line in tuple(state.lines.get(session.ticket, {}).values()):
        _forget_from(state, line, 0)
    state.back.pop(session.ticket, None)


def _forget_from(state: RoutingState, line: Line, n: int) -> None:
    for number in [number for number in line.kept if number >= n]:
        _end(state, line.part, line.kept.pop(number))
    _tidy(state, line)


def _end(state: RoutingState, part: Part, kept: Kept) -> None:
    size = len(kept.body) if kept.body is not None else 0
    part.count -= 1
    part.bytes -= size
    state.kept -= 1
    state.kept_bytes -= size
    kept.line = None
    kept.body = None  # it may still stand in `unsent`


def _tidy(state: RoutingState, line: Line) -> None:
    if not line.kept:
        ticket, recipient = line.session.ticket, line.recipient
        lines = state.lines.get(ticket)
        if lines is not None and lines.get(recipient) is line:
            del lines[recipient]
            if not lines:
                del state.lines[ticket]
            del line.part.lines[ticket, recipient]
