"""Whether a node is worse off than in the minute before: errors, loop lag, backlog.

Pure: pictures in, a verdict out. Who takes the pictures and what follows from the verdict is not known here.
"""

from collections.abc import Sequence
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
BACKLOG_LEAST: Final = 2_000
BACKLOG_TIMES: Final = 4.0
BACKLOG_PICTURES: Final = 3
"""In a row, all above: one may be a burst."""
PICTURES: Final = BACKLOG_PICTURES
"""Since the change, that a verdict looks at: the last ones."""


@attrs.frozen
class Pulse:
    """One picture. errors, events, lag_us (see `node.histogram`) count from the node's start; backlog is now."""

    at_s: float
    errors: int
    events: int
    lag_us: tuple[int, ...]
    backlog: int


def verdict(before: Sequence[Pulse], after: Sequence[Pulse]) -> str:
    """What got worse; "" if nothing did.

    Args:
        before: the pictures of the time to compare with, the last one taken when it ended.
        after: those since.
    """
    if not before or not after:
        return ""
    return _errors(before, after) or _lag(before, after) or _backlog(before, after)


def _errors(before: Sequence[Pulse], after: Sequence[Pulse]) -> str:
    start, end = before[-1], after[-1]
    errors, events = end.errors - start.errors, max(1, end.events - start.events)
    errors_before = start.errors - before[0].errors
    share_before = errors_before / max(1, start.events - before[0].events)
    share = errors / events
    if errors >= ERRORS_LEAST and share > max(ERRORS_SHARE_LEAST, share_before * ERRORS_TIMES):
        return f"errors: {errors} in {events} events ({share:.2%}; {share_before:.2%} before)"
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
