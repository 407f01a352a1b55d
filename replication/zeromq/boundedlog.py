"""What becomes of links, logged at a bounded rate: who can make us log, as a stranger can, must not fill the disk.

Everything is counted elsewhere. No content of any message comes here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
import trio

PER_MINUTE: Final = 10
"""Of each event; what is beyond is counted and told with the next one that is logged."""

MINUTE_S: Final = 60.0
EVENTS_MAX: Final = 64

_log = structlog.get_logger("replication.zeromq")


class BoundedLog:
    """Says each event at most PER_MINUTE times a minute."""

    __slots__ = ("_clock", "_seen")

    def __init__(self, clock: Callable[[], float] = trio.current_time) -> None:
        self._clock = clock
        self._seen: dict[str, list[float]] = {}  # event → [when its minute began, said in it, unsaid]

    def note(self, event: str, **words: object) -> bool:
        """What is as it should be. Whether it was said."""
        return self._say(_log.info, event, words)

    def warn(self, event: str, **words: object) -> bool:
        """What isn't. Whether it was said."""
        return self._say(_log.warning, event, words)

    def _say(self, say: Callable[..., object], event: str, words: dict[str, object]) -> bool:
        now = self._clock()
        seen = self._seen.get(event)
        if seen is None:
            assert len(self._seen) < EVENTS_MAX, "events are named in the code"
            seen = self._seen[event] = [now, 0, 0]
        elif now - seen[0] >= MINUTE_S:
            seen[0], seen[1] = now, 0
        if seen[1] >= PER_MINUTE:
            seen[2] += 1
            return False
        seen[1] += 1
        unsaid, seen[2] = int(seen[2]), 0
        if unsaid:
            words["unsaid_before"] = unsaid
        say(event, **words)
        return True
