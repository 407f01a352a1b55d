"""Whether a node is worse off than in the minute before: errors, what it refuses, what it gets done, loop lag, backlog.

Pure: pictures in, a verdict out. Who takes the pictures and what follows from the verdict is not known here.
"""

from collections.abc import Callable, Sequence
from typing import Final

import attrs

ERRORS_LEAST: Final = 5
"""Fewer are no trend."""
ERRORS_TIMES: Final = 4.0
"""So many times as often as before, for each event of the poll set, is worse."""
ERRORS_SHARE_LEAST: Final = 0.0005
LAG_MS_LEAST: Final = 50.0
"""Below it a loop is quick, however much quicker it was."""
LAG_TIMES: Final = 4.0
LAG_SHARE: Final = 0.99
LAG_PASSES_LEAST: Final = 200
"""The share above is not of fewer than so many passes."""
FLOW_LEAST_PER_S: Final = 5.0
"""Where less was done before, a quiet moment is no sign."""
FLOW_TIMES: Final = 4.0
"""So many times less is worse: phones don't fall silent all at once."""
FLOW_S_LEAST: Final = 15.0
"""Both times are as long at least."""
BACKLOG_LEAST: Final = 2_000
BACKLOG_TIMES: Final = 4.0
BACKLOG_PICTURES: Final = 3
"""In a row, all above: one may be a burst."""
PICTURES: Final = BACKLOG_PICTURES
"""Since the change, that a verdict looks at: the last ones."""


@attrs.frozen
class Pulse:
    """One picture. backlog is now, all else counts from the node's start (lag_us: see `node.histogram`).

    refused: of `sends`. ended: connections, by an error. faults: of what runs beside the hub.
    """

    at_s: float
    errors: int
    events: int
    lag_us: tuple[int, ...]
    backlog: int
    sends: int = 0
    refused: int = 0
    ended: int = 0
    logins: int = 0
    logins_failed: int = 0
    faults: int = 0
    accepted: int = 0
    delivered: int = 0


@attrs.frozen
class Kind:
    """What may come more often, for each of something else. least, share_least: what is below is no trend."""

    name: str
    what: Callable[[Pulse], float]
    of: Callable[[Pulse], float]
    of_name: str
    least: int
    share_least: float


KINDS: Final = (
    Kind(
        "errors", lambda one: one.errors, lambda one: one.events, "events", ERRORS_LEAST, ERRORS_SHARE_LEAST
    ),
    Kind("sends refused", lambda one: one.refused, lambda one: one.sends, "sends", 20, 0.05),
    Kind("connections ended by an error", lambda one: one.ended, lambda one: one.events, "events", 20, 0.005),
    Kind("logins failed", lambda one: one.logins_failed, lambda one: one.logins, "logins", 20, 0.25),
    Kind("faults beside the hub", lambda one: one.faults, lambda one: one.at_s, "seconds", 5, 0.1),
)
FLOWS: Final[tuple[tuple[str, Callable[[Pulse], int]], ...]] = (
    ("messages accepted", lambda one: one.accepted),
    ("messages delivered", lambda one: one.delivered),
)


def verdict(before: Sequence[Pulse], after: Sequence[Pulse]) -> str:
    """What got worse; "" if nothing did.

    Args:
        before: the pictures of the time to compare with, the last one taken when it ended.
        after: those since.
    """
    if not before or not after:
        return ""
    for kind in KINDS:
        if worse := _more(kind, before, after):
            return worse
    for name, count in FLOWS:
        if worse := _less(name, count, before, after):
            return worse
    return _lag(before, after) or _backlog(before, after)


def _more(kind: Kind, before: Sequence[Pulse], after: Sequence[Pulse]) -> str:
    first, start, end = before[0], before[-1], after[-1]
    came, of = kind.what(end) - kind.what(start), max(1.0, kind.of(end) - kind.of(start))
    share_before = (kind.what(start) - kind.what(first)) / max(1.0, kind.of(start) - kind.of(first))
    share = came / of
    if came >= kind.least and share > max(kind.share_least, share_before * ERRORS_TIMES):
        return f"{kind.name}: {came:.0f} in {of:.0f} {kind.of_name} ({share:.2%}; {share_before:.2%} before)"
    return ""


def _less(name: str, count: Callable[[Pulse], int], before: Sequence[Pulse], after: Sequence[Pulse]) -> str:
    first, start, end = before[0], before[-1], after[-1]
    if min(start.at_s - first.at_s, end.at_s - start.at_s) < FLOW_S_LEAST:
        return ""
    usual = (count(start) - count(first)) / (start.at_s - first.at_s)
    now = (count(end) - count(start)) / (end.at_s - start.at_s)
    if usual >= FLOW_LEAST_PER_S and now * FLOW_TIMES < usual:
        return f"{name}: {now:.1f} a second ({usual:.1f} before)"
    return ""


def _lag(before: Sequence[Pulse], after: Sequence[Pulse]) -> str:
    usual = _lag_ms(before[0], before[-1])
    now = _lag_ms(before[-1], after[-1])
    if now > max(LAG_MS_LEAST, usual * LAG_TIMES):
        return f"loop lag: {now:.0f} ms at {LAG_SHARE:.0%} ({usual:.0f} ms before)"
    return ""


def _lag_ms(start: Pulse, end: Pulse) -> float:
    """As coarse as the histogram: an upper bound by powers of two."""
    counts = [after - before for before, after in zip(start.lag_us, end.lag_us, strict=True)]
    total = sum(counts)
    if total < LAG_PASSES_LEAST:
        return 0.0
    seen = 0
    for index, count in enumerate(counts):
        seen += count
        if seen >= LAG_SHARE * total:
            return ((1 << index) - 1) / 1000
    return 0.0


def _backlog(before: Sequence[Pulse], after: Sequence[Pulse]) -> str:
    usual = max(one.backlog for one in before)
    last = [one.backlog for one in after[-BACKLOG_PICTURES:]]
    if len(last) == BACKLOG_PICTURES and min(last) > max(BACKLOG_LEAST, usual * BACKLOG_TIMES):
        return f"backlog: {last[-1]} ({usual} before)"
    return ""
