"""What senders are still to be told: delivered, read, expired. Derived from pairs; told at once to a sender that is
online, kept until the sender's client confirms, and told again at each login until then.

A receipt is for the device that sent. To another device of the same number, which may have another owner by now, it
says nothing: what is owed to a former device ends when the next one logs in.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from node.mail import effects, telling
from node.mail.pair import Pair
from node.mail.state import Handle, MailState, Owed, OwedKey, OwedScan
from node.wire.verbs import KIND_DELIVERED, KIND_EXPIRED, KIND_READ

SCAN_ROWS = 64
"""Receipts' rows read at a time at a login; more when the client has confirmed half of them."""
INTERVALS_MAX = 4_096
"""Of numbers owed to one device about one recipient. A sender that has left so many runs unconfirmed, with others
that it did confirm between them, isn't told the lowest any more."""


def owe(state: MailState, pair: Pair, kind: int, first: int, last: int) -> None:
    """The pair's sender is to be told of first..last."""
    if telling.lives_elsewhere(state, pair):
        telling.owe(state, pair, kind, first, last)
        return
    key = (pair.sender, pair.recipient, pair.stream)
    owed = find(state, *key)
    if owed is not None:
        add(state, owed, kind, first, last)
        let_go(state, owed)
    else:
        pair.owing += 1
        with_owed(state, key, partial(_add_for, state, pair, kind=kind, first=first, last=last))


def _add_for(state: MailState, pair: Pair, owed: Owed, kind: int, first: int, last: int) -> None:
    add(state, owed, kind, first, last)
    pair.owing -= 1
    if pair.parked and not pair.owing:
        pair.parked = False
        state.dirty.appendleft((state.now, pair))
        state.counts.marked += 1


def confirm(
    state: MailState, sender: int, recipient: int, stream: bytes, kind: int, first: int, last: int
) -> bool:
    """The sender's client has stored a receipt. False if that could not be taken in now: it will be told again."""
    state.counts.confirms += 1
    key = (sender, recipient, stream)
    owed = find(state, *key)
    if owed is not None:
        _take_off(state, owed, kind, first, last)
        let_go(state, owed)
    elif len(state.owed_loading) < state.settings.loads_waiting_max:
        with_owed(state, key, partial(_take_off, state, kind=kind, first=first, last=last))
    else:
        return False
    return True


def add(state: MailState, owed: Owed, kind: int, first: int, last: int) -> None:
    """The sender is to be told of first..last, and is told at once if it is online."""
    session = state.session_of(owed.sender)
    if session is not None and session.stream != owed.stream:
        _discard(state, owed)
        return
    if kind == KIND_DELIVERED:
        owed.delivered.add_range(first, last)
        owed.delivered.trim(INTERVALS_MAX)
    elif kind == KIND_EXPIRED:
        owed.expired.add_range(first, last)
        owed.expired.trim(INTERVALS_MAX)
    else:
        owed.read = max(owed.read, last)
    if session is not None:
        state.out.append((effects.RECEIPT, owed.sender, owed.recipient, owed.stream, kind, first, last))
    mark(state, owed)


def _take_off(state: MailState, owed: Owed, kind: int, first: int, last: int) -> None:
    if kind == KIND_DELIVERED:
        owed.delivered.remove_range(first, last)
        owed.delivered.trim(INTERVALS_MAX)
    elif kind == KIND_EXPIRED:
        owed.expired.remove_range(first, last)
        owed.expired.trim(INTERVALS_MAX)
    elif last >= owed.read:
        owed.read = 0
    if owed.empty():
        _uncount(state, owed)
        if not owed.writing:
            telling.answer(state, owed)
    if owed.stored or owed.writing:
        mark(state, owed)


def _uncount(state: MailState, owed: Owed) -> None:
    """It takes no room any more in the window of what its sender was told."""
    if owed.counted:
        owed.counted = False
        scan = state.owed_scans.get(owed.sender)
        if scan is not None:
            scan.unconfirmed -= 1
            _scan_on(state, owed.sender, scan)


def _discard(state: MailState, owed: Owed) -> None:
    """It is owed to a device that is no more."""
    owed.delivered.clear()
    owed.expired.clear()
    owed.read = 0
    telling.answer(state, owed)
    if owed.stored or owed.writing:
        mark(state, owed)


def mark(state: MailState, owed: Owed) -> None:
    """The row is to be written before long."""
    if not owed.dirty:
        owed.dirty = True
        state.dirty_owed.append((state.now + state.settings.flush_delay_ms, owed))
        state.counts.receipts_marked += 1


def with_owed(state: MailState, key: OwedKey, then: Callable[[Owed], None]) -> None:
    """Call ``then`` when it was loaded; it isn't in memory."""
    waiting = state.owed_loading.get(key)
    if waiting is not None:
        waiting.append(then)
        return
    state.owed_loading[key] = [then]
    state.out.append((effects.LOAD_OWED, *key))


def loaded(state: MailState, key: OwedKey, row: Sequence[Any] | None) -> None:
    """The answer to LOAD_OWED."""
    owed = find(state, *key) or _make(state, key, row)
    for then in state.owed_loading.pop(key):
        then(owed)
    let_go(state, owed)


def written(state: MailState, owed: Owed, *, stored: bool) -> None:
    """A row was put (``stored``) or deleted. Who told the same while it was written is answered; what the store knows
    as well need not stay in memory."""
    owed.writing = False
    owed.stored = stored
    if not owed.dirty:
        telling.answer(state, owed)
    let_go(state, owed)


def find(state: MailState, sender: int, recipient: int, stream: bytes) -> Owed | None:
    """What is in memory of it."""
    of_sender = state.owed.get(sender)
    return of_sender.get((recipient, stream)) if of_sender is not None else None


def let_go(state: MailState, owed: Owed) -> None:
    """Drop it from memory if it is no more, or if the store knows it as well; but while rows of its sender are being
    read, what was read for it may be older than this."""
    if owed.dirty or owed.writing:
        return
    if owed.stored and not owed.empty():
        scan = state.owed_scans.get(owed.sender)
        if owed.counted or (scan is not None and scan.scanning):
            return
    if owed.empty() and owed.stored:
        return  # its row will be deleted
    forget(state, owed)


def forget(state: MailState, owed: Owed) -> None:
    """Drop it from memory."""
    of_sender = state.owed[owed.sender]
    del of_sender[owed.recipient, owed.stream]
    if not of_sender:
        del state.owed[owed.sender]


def _make(state: MailState, key: OwedKey, row: Sequence[Any] | None) -> Owed:
    sender, recipient, stream = key
    owed = state.owed.setdefault(sender, {})[recipient, stream] = Owed(*key)
    if row is not None:
        owed.restore(row)
    return owed


def begin(state: MailState, sender: int, handle: Handle) -> None:
    """A session began: tell it what its user is owed; what is in memory at once, what is on disk a chunk at a
    time."""
    _forget_scan(state, sender)
    scan = state.owed_scans[sender] = OwedScan(handle)
    for owed in tuple(state.owed.get(sender, {}).values()):
        _tell_once(state, owed, handle)
    state.out.append((effects.SCAN_OWED, sender, handle, scan.after, SCAN_ROWS))


def end(state: MailState, sender: int, handle: Handle) -> None:
    """The session ended."""
    _forget_scan(state, sender)


def _forget_scan(state: MailState, sender: int) -> None:
    state.owed_scans.pop(sender, None)
    for owed in tuple(state.owed.get(sender, {}).values()):
        owed.counted = False
        let_go(state, owed)


def not_scanned(state: MailState, sender: int, handle: Handle) -> None:
    """SCAN_OWED was of no use: the rest is told at the next login."""
    scan = state.owed_scans.get(sender)
    if scan is not None and scan.handle is handle:
        _scan_over(state, sender)
        _let_all_go(state, sender)


def scanned(
    state: MailState,
    sender: int,
    handle: Handle,
    rows: Sequence[tuple[int, bytes, Sequence[Any]]],
    after: tuple[int, bytes] | None,
) -> None:
    """The answer to SCAN_OWED: (recipient, stream, row), and where to go on (None: that was all)."""
    scan = state.owed_scans.get(sender)
    if scan is None or scan.handle is not handle:
        return
    for recipient, stream, row in rows:
        key = (sender, recipient, stream)
        waiting = state.owed_loading.get(key)
        if waiting is not None:  # only one reading of a row counts
            waiting.append(partial(_tell_once, state, handle=handle))
        else:
            _tell_once(state, find(state, *key) or _make(state, key, row), handle)
    scan.scanning = False
    scan.after = after
    if after is None:
        _scan_over(state, sender)
    _let_all_go(state, sender)
    if after is not None:
        _scan_on(state, sender, scan)


def _scan_over(state: MailState, sender: int) -> None:
    del state.owed_scans[sender]
    if state.distant is not None:
        state.distant.rest(sender)


def _let_all_go(state: MailState, sender: int) -> None:
    for owed in tuple(state.owed.get(sender, {}).values()):
        let_go(state, owed)


def _tell_once(state: MailState, owed: Owed, handle: Handle) -> None:
    """Tell it to the session, unless that was done: what is in memory is on disk as well, as a rule."""
    if owed.counted or owed.empty() or state.sessions.get(owed.sender) is not handle:
        return
    if owed.stream != handle.stream:
        _discard(state, owed)
        return
    owed.counted = True
    scan = state.owed_scans.get(owed.sender)
    if scan is not None:
        scan.unconfirmed += 1
    _tell(state, owed)


def _scan_on(state: MailState, sender: int, scan: OwedScan) -> None:
    if not scan.scanning and scan.unconfirmed <= SCAN_ROWS // 2:
        scan.scanning = True
        state.out.append((effects.SCAN_OWED, sender, scan.handle, scan.after, SCAN_ROWS))


def _tell(state: MailState, owed: Owed) -> None:
    who = (effects.RECEIPT, owed.sender, owed.recipient, owed.stream)
    for first, last in owed.delivered.ranges():
        state.out.append((*who, KIND_DELIVERED, first, last))
    for first, last in owed.expired.ranges():
        state.out.append((*who, KIND_EXPIRED, first, last))
    if owed.read:
        state.out.append((*who, KIND_READ, 1, owed.read))
