"""When to connect again after a connection has ended.

A node that dies says nothing: all of its phones see their connections end in the same moment, and nobody could tell
each of them another time to come back. So a phone whose connection was cut off from the other side spreads its return
by itself. That costs a wait where only its own connection was cut; an app in use says so (`Driver.wanted`), and goes at
once. This module must never know the time, nor why a connection ended but for what it is told.
"""

from random import Random

from client.backoff import Backoff
from client.settings import Settings


class Returning:
    """One device's. `online` once it is logged in, `ended` when the connection is gone or was never made.

    spreads: whether the wait that was last chosen is for the sake of others only.
    """

    __slots__ = ("_backoff", "_cut", "_random", "_settings", "_stable_from", "spreads")

    def __init__(self, settings: Settings, random: Random) -> None:
        self._settings, self._random = settings, random
        self._backoff = Backoff(settings, random)
        self._stable_from: float | None = None
        self._cut = False
        self.spreads = False

    def online(self, now: float) -> None:
        """This connection is logged in."""
        self._stable_from = now + self._settings.stable_after

    def ended(self, now: float, *, cut: bool) -> None:
        """This connection is gone.

        Args:
            cut: from the other side, without a word.
        """
        if self._stable_from is not None and now >= self._stable_from:
            self._backoff.reset()
        self._cut = cut and self._stable_from is not None
        self._stable_from = None

    def wait(self, asked: float) -> float:
        """Seconds to wait before the next one; `asked` is what the server wanted at least, 0 if it said nothing."""
        least = self._backoff.next(asked)
        spread = self._random.uniform(0.0, self._settings.cut_spread) if self._cut and not asked else 0.0
        self.spreads = spread > least
        return max(least, spread)
