"""Handing messages to a recipient's session: each pair in the order of its numbers, within the session's window.

A pair is *live* on a session (cursor 0) when nothing earlier of it is undelivered there: only then a message goes out
from memory. Otherwise its cursor is the next number to look for, in memory and on disk, and it takes its turn in the
box's queue; so one stuck pair doesn't block a mailbox, and a mailbox is never loaded whole.
"""

from collections import deque
from collections.abc import Sequence
from functools import partial

from node.mail import effects, loading, writebehind
from node.mail.pair import Message, Pair
from node.mail.settings import DAY_MS
from node.mail.state import Box, Handle, MailState

SCAN_PAIRS = 16
"""Pairs with waiting messages looked up at a time; more only when these are served."""
FETCH_MESSAGES = 32
"""Messages read from disk at a time."""
FETCHES_MAX = 4
"""Such readings under way for one session: what was read waits in memory."""
LATE = 1
"""Flag of `deliver`: a later one of this pair was handed over, or acknowledged, before."""
ENTRY_BYTES = 64
"""Counted for a message in flight besides its body."""


def attune(box: Box, pair: Pair) -> None:
    """Make what the pair says of delivery true of the box's session."""
    pair.seen = box.session
    pair.inflight = {}
    pair.handed = 0
    pair.fetching = False
    pair.hungry = False
    pair.floor = 0
    pair.cursor = 0
    if box.session is not None and not box.scanned:
        pair.cursor = 1
        _feed(box, pair)


def offer(state: MailState, pair: Pair, message: Message) -> None:
    """A message came: hand it over if its pair is live and there is room, or see that it gets its turn."""
    box = pair.box
    if box.session is None:
        return
    if pair.seen is not box.session:
        attune(box, pair)
    n = message.n
    if n in pair.inflight:  # withdrawn and sent again, and it was on its way already
        return
    if pair.cursor == 0:
        if _has_room(state, box) and len(pair.inflight) < state.settings.pair_share:
            _hand(state, box, pair, n, message.arrived, message.body)
            return
        pair.cursor = n
    elif n < pair.cursor:
        pair.cursor = n
    _feed(box, pair)
    pump(state, box)


def acked(state: MailState, pair: Pair) -> None:
    """Room may have come free in the window."""
    box = pair.box
    if box.session is None:
        return
    if pair.cursor and pair.seen is box.session:
        _feed(box, pair)
    if box.hungry or not box.scanned:
        pump(state, box)


def recall(pair: Pair, n: int) -> None:
    """A message that was handed over is over, or not there any more: its ack will find nothing in flight."""
    handed = pair.inflight.pop(n, None)
    if handed is not None and pair.seen is pair.box.session:
        pair.box.inflight -= 1
        pair.box.inflight_bytes -= handed[0]


def pump(state: MailState, box: Box) -> None:
    """Serve the queue while there is room; when it is empty, look for more pairs with waiting messages."""
    while box.session is not None and _has_room(state, box):
        if box.hungry:
            if box.fetching >= FETCHES_MAX:
                return
            pair = box.hungry.popleft()
            pair.hungry = False
            if pair.cursor:
                _serve(state, box, pair)
        else:
            box.hungry = None
            if not box.scanned and not box.scanning:
                box.scanning = True
                state.out.append((effects.SCAN, box.user, box.session, box.scan_after, SCAN_PAIRS))
            return


def _serve(state: MailState, box: Box, pair: Pair) -> None:
    """Hand over what follows the cursor in memory; ask the disk for what isn't there."""
    settings = state.settings
    n = pair.cursor
    while n <= pair.high:
        share = settings.pair_share - len(pair.inflight)
        if share <= 0 or not _has_room(state, box):
            pair.cursor = n
            if share > 0:
                _feed(box, pair)
            return  # otherwise its own acks bring it back
        message = pair.pending.get(n)
        if message is not None:
            if settings.sync_first:
                pair.cursor = n  # offered when it is written
                return
            if n not in pair.inflight:
                _hand(state, box, pair, n, message.arrived, message.body)
            n += 1
        elif n in pair.inflight:
            n += 1
        elif pair.settled(n):
            n = pair.settled_to(n) + 1
        elif state.doomed >= writebehind.DOOMED_MAX:
            pair.cursor = n
            state.throttled.append(pair)
            return
        else:
            pair.cursor = n
            pair.fetching = True
            pair.floor = 0
            box.fetching += 1
            limit = min(share, FETCH_MESSAGES, settings.window - box.inflight)
            room = settings.window_bytes - box.inflight_bytes
            state.out.append((effects.FETCH, pair, box.session, n, limit, room))
            return
    pair.cursor = 0


def unthrottle(state: MailState) -> None:
    """Rows were deleted: go on with the mailboxes that waited for that."""
    throttled, state.throttled = state.throttled, deque()
    for pair in throttled:
        box = pair.box
        if box.session is not None and pair.seen is box.session and pair.cursor:
            _feed(box, pair)
            pump(state, box)


def fetched(
    state: MailState,
    pair: Pair,
    handle: Handle,
    start: int,
    rows: Sequence[tuple[int, int, bytes]],
    *,
    complete: bool,
) -> None:
    """The answer to FETCH: (n, arrived, body) from ``start`` on; ``complete`` if there are no more of the pair."""
    box = pair.box
    if not _fetch_over(box, pair, handle):
        return
    if pair.cursor < start:  # a hole below was filled meanwhile
        _feed(box, pair)
        pump(state, box)
        return
    oldest = state.now - state.settings.message_age_days * DAY_MS
    waiting = {n: (arrived, body) for n, arrived, body in rows if arrived > oldest}
    if len(waiting) < len(rows):
        # Not handed over, whether or not the sweep was here: so a crash right after the sweep changes nothing.
        aged = [(n, len(body)) for n, arrived, body in rows if arrived <= oldest]
        state.out.append((effects.AGED, pair.key, aged))
    after = 0 if complete else (rows[-1][0] + 1 if rows else start)
    if pair.floor:
        # Committed since: may be missing from both the rows and `pending`. What is below is certain.
        after = min(after, pair.floor) if after else pair.floor
        waiting = {n: row for n, row in waiting.items() if n < after}
    if not state.settings.sync_first:
        for n, message in pair.pending.items():
            if n >= start and (not after or n < after):
                waiting[n] = (message.arrived, message.body)
    pair.cursor = after
    for n in sorted(waiting):
        if n in pair.inflight or pair.settled(n):
            continue
        if len(pair.inflight) >= state.settings.pair_share or not _has_room(state, box):
            pair.cursor = n
            break
        _hand(state, box, pair, n, *waiting[n])
    if pair.cursor and len(pair.inflight) < state.settings.pair_share:
        _feed(box, pair)
    pump(state, box)


def not_fetched(state: MailState, pair: Pair, handle: Handle) -> None:
    """FETCH was of no use. The pair gets another turn when something else of it moves, or at the next login."""
    if _fetch_over(pair.box, pair, handle):
        pump(state, pair.box)


def _fetch_over(box: Box, pair: Pair, handle: Handle) -> bool:
    """An answer to FETCH came; whether it is for the session that is there."""
    if pair.seen is not handle:
        return False
    pair.fetching = False
    if box.session is not handle:
        return False
    box.fetching -= 1
    return True


def scanned(
    state: MailState,
    user: int,
    handle: Handle,
    found: Sequence[tuple[int, bytes]],
    after: tuple[int, bytes] | None,
) -> None:
    """The answer to SCAN: (sender, stream) of pairs with messages on disk, and where to go on (None: that was all)."""
    box = state.boxes.get(user)
    if box is None or box.session is not handle:
        return
    box.scan_after = after
    box.discovering = len(found)
    for sender, stream in found:
        loading.with_pair(
            state,
            (user, sender, stream),
            partial(_discovered, state, handle=handle),
            partial(_missed, state, box, handle),
            always=True,
        )
    if not found:
        _scan_over(state, box)


def _discovered(state: MailState, pair: Pair, handle: Handle) -> None:
    box = pair.box
    if box.session is not handle:
        return
    if pair.seen is not handle:
        attune(box, pair)
    box.discovering -= 1
    if box.discovering == 0:
        _scan_over(state, box)


def _missed(state: MailState, box: Box, handle: Handle) -> None:
    """A pair could not be loaded. The others go on; it gets its turn at the next login."""
    if box.session is handle:
        box.missed = True
        box.discovering -= 1
        if box.discovering == 0:
            _scan_over(state, box)


def _scan_over(state: MailState, box: Box) -> None:
    """Every pair of the last chunk is in the queue. Only now may one that isn't be taken for live; and if one was
    missed, none in this session."""
    last = box.scan_after is None
    box.scanned = last and not box.missed
    box.scanning = last and box.missed
    pump(state, box)
    if box.scanned:
        # Most who log in have nothing waiting: a box for each would double what they cost.
        loading.let_go(state, box)


def _feed(box: Box, pair: Pair) -> None:
    if not pair.hungry and not pair.fetching:
        pair.hungry = True
        if box.hungry is None:
            box.hungry = deque()
        box.hungry.append(pair)


def _has_room(state: MailState, box: Box) -> bool:
    return box.inflight < state.settings.window and box.inflight_bytes < state.settings.window_bytes


def _hand(state: MailState, box: Box, pair: Pair, n: int, arrived: int, body: bytes) -> None:
    size = len(body) + ENTRY_BYTES
    pair.inflight[n] = (size, arrived)
    box.inflight += 1
    box.inflight_bytes += size
    gone = pair.gone.spans
    late = LATE if n < pair.handed or (gone and n < gone[-1]) else 0
    if n > pair.handed:
        pair.handed = n
    state.out.append((effects.DELIVER, pair.recipient, pair.sender, pair.stream, n, late, arrived, body))
    state.counts.delivered += 1
