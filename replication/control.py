"""What is said over control links, to whoever it is for: each code belongs to one part of a member.

Codes that none of them has are a newer release's: counted, and passed over. Every part passes over what is appended
to its messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, Final, Protocol

from replication.detector import Detector
from replication.detectorstate import (
    BEAT,
    KNOCK,
    KNOCKED,
    PROBE,
    PROBE_ANSWER,
    PROBE_REPLY,
    PROBE_REQUEST,
)
from replication.membership import exchange, far, handing, operating
from replication.membership.handing import Handing
from replication.membership.membership import Membership
from replication.membership.operating import Operating
from replication.unknown import Unknown

BEAT_WORDS: Final = 3
"""Of a detector's beat; what it says of the roster comes behind."""

DETECTOR: Final = 0
MEMBERSHIP: Final = 1
FAR: Final = 2
OPERATING: Final = 3
HANDING: Final = 4

WHOSE: Final = MappingProxyType(
    {
        **dict.fromkeys((BEAT, PROBE_REQUEST, PROBE, PROBE_REPLY, PROBE_ANSWER, KNOCK, KNOCKED), DETECTOR),
        **dict.fromkeys((exchange.TELL, exchange.TALLY, exchange.WANT), MEMBERSHIP),
        **dict.fromkeys((far.CLAIMED, far.REST, far.RESTED, far.CALL), FAR),
        **dict.fromkeys((operating.MOVE, operating.MOVED, operating.SOUND, operating.SOUNDS), OPERATING),
        **dict.fromkeys((handing.GOING, handing.GONE), HANDING),
    }
)
"""Code → the part of a member that it is for."""


class Around(Protocol):
    """The cluster, as far as this needs it."""

    membership: Membership
    detector: Detector
    operate: Operating
    handing: Handing


class Control:
    """Of one node. judged: takes the detector's effects. unknown: what came that this release doesn't know."""

    __slots__ = ("_around", "_judged", "unknown")

    def __init__(self, around: Around, judged: Callable[[Iterable[tuple[Any, ...]]], None]) -> None:
        self._around = around
        self._judged = judged
        self.unknown = Unknown()

    def received(self, peer: bytes, message: list[Any], now: int) -> None:
        """A peer says something."""
        around = self._around
        whose = WHOSE.get(message[0])
        if whose == DETECTOR:
            if message[0] == BEAT:
                around.membership.beat(peer, message[BEAT_WORDS:])
            self._judged(around.detector.received(peer, tuple(message), now))
        elif whose == MEMBERSHIP:
            around.membership.received(peer, message)
        elif whose == FAR:
            around.membership.far.received(peer, message)
        elif whose == OPERATING:
            around.operate.received(peer, message)
        elif whose == HANDING:
            around.handing.received(peer, message)
        else:
            self.unknown.note(message[0])
