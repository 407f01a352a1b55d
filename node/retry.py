"""How long to pause before something is tried again. Pure; this module must never sleep itself."""

from email.utils import parsedate_to_datetime
from random import Random
from typing import Final

GOLDEN: Final = (5**0.5 - 1) / 2


def pause_ms(tried: int, first_ms: float, most_ms: float, random: Random) -> int:
    """The pause after the `tried`th failure: doubling, at most `most_ms`, of which half is left to chance.

    Chance keeps the many that failed together from coming back together.
    """
    assert tried >= 1
    whole = min(most_ms, first_ms * 2.0 ** min(tried - 1, 64))
    return max(1, round(whole * random.uniform(0.5, 1.0)))


class Spread:
    """Times for many that are to come again, one after the other: as far apart as can be, without chance (Weyl's
    sequence of the golden ratio)."""

    __slots__ = ("_share",)

    def __init__(self) -> None:
        self._share = 0.0

    def between(self, low: int, high: int) -> int:
        """The next one."""
        self._share = (self._share + GOLDEN) % 1.0
        return round(low + (high - low) * self._share)


def retry_after_ms(header: str | None, now_ms: int) -> int | None:
    """What a Retry-After header asks for (RFC 9110, 10.2.3: seconds, or a date); None if nothing sensible."""
    if header is None:
        return None
    header = header.strip()
    if header.isascii() and header.isdigit():
        return int(header[:9]) * 1000
    try:
        at = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0, round(at.timestamp() * 1000) - now_ms)
