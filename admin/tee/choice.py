"""Which users are in the share: always the same for the same share, and those of a smaller one are in every larger.

By a hash of the user (Fibonacci hashing: Knuth, TAOCP 3, 6.4), so that all that a user says is teed or nothing.
"""

from __future__ import annotations

from typing import Final

_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
_MASK: Final = (1 << 64) - 1
_BITS: Final = 32


def limit_of(share: float) -> int:
    """For `is_chosen`: of all hashes, those below."""
    return round(share * (1 << _BITS))


def is_chosen(user: int, limit: int) -> bool:
    return ((user * _SPREAD & _MASK) >> _BITS) < limit
