"""Who this directory has been: one incarnation per open, each with the first sequence that it may write.

A peer remembers (incarnation, sequence) as its position. A directory that was restored, cloned or rolled back opens
under a new incarnation whose first sequence lies *before* what the peer has seen, so the peer's position falls out
of the recorded range of the old incarnation and counts as nothing. The entry is durable before the first write.

This module must never generate ids itself: randomness is passed in.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from typing import Any, Final

import attrs
import cbor2

from store.errors import DamagedStore
from store.limits import INCARNATIONS_KEPT

KEY: Final = b"incarnations"
ID_MAX: Final = (1 << 64) - 1


@attrs.frozen(slots=True)
class Incarnation:
    """One life of a directory: a random id, the first sequence it may write, and when it began (Unix ms)."""

    id: int
    first: int
    began_ms: int


@attrs.frozen(slots=True)
class History:
    """All remembered incarnations of a group, oldest first. The last one is alive."""

    lives: tuple[Incarnation, ...]

    def __attrs_post_init__(self) -> None:
        firsts = [life.first for life in self.lives]
        assert firsts == sorted(firsts), "incarnations must begin in order"

    @property
    def current(self) -> Incarnation:
        """The one that writes now."""
        return self.lives[-1]

    def begin(self, identity: int, last_sequence: int, now_ms: int) -> History:
        """The history with one more life, which writes after `last_sequence`."""
        assert 0 <= identity <= ID_MAX
        assert all(life.id != identity for life in self.lives), "an incarnation's id must be new"
        lives = (*self.lives, Incarnation(identity, last_sequence + 1, now_ms))
        return History(lives[-INCARNATIONS_KEPT:])

    def position(self, incarnation: int, sequence: int, head: int) -> int:
        """What a peer's remembered position is worth: `sequence` if that life really wrote up to it, else 0."""
        for at, life in enumerate(self.lives):
            if life.id == incarnation:
                end = head if at + 1 == len(self.lives) else self.lives[at + 1].first - 1
                # Before its first is good too: that life began with everything that those before it had left.
                return sequence if 0 <= sequence <= end else 0
        return 0

    def wrote(self, sequence: int) -> Incarnation | None:
        """The life that wrote a local sequence, if it is remembered."""
        at = bisect.bisect_right([life.first for life in self.lives], sequence)
        return self.lives[at - 1] if at else None


def encode(history: History) -> bytes:
    """As it is kept in the meta database."""
    encoded: bytes = cbor2.dumps([[life.id, life.first, life.began_ms] for life in history.lives])
    return encoded


def decode(data: bytes | None) -> History:
    """Raises DamagedStore."""
    if data is None:
        return History(())
    try:
        rows: Iterable[Any] = cbor2.loads(data)
        return History(tuple(Incarnation(*row) for row in rows))
    except (cbor2.CBORDecodeError, TypeError, ValueError, AssertionError):
        raise DamagedStore("the list of incarnations can't be read") from None
