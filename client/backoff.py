"""How long to wait before the next connection: twice as long each time, with jitter, and never less than asked.

Jitter keeps a million phones from coming back in the same second (M. Brooker, "Exponential Backoff And Jitter",
AWS Architecture Blog, 2015). This module must never know the time.
"""

from random import Random

from client.settings import Settings


class Backoff:
    """Between backoff_min and backoff_max; `reset` after a connection that held."""

    __slots__ = ("_attempt", "_random", "_settings")

    def __init__(self, settings: Settings, random: Random) -> None:
        self._settings, self._random = settings, random
        self._attempt = 0

    def next(self, asked: float = 0.0) -> float:
        """Seconds to wait; `asked` is what the server wanted at least."""
        settings = self._settings
        ceiling = min(settings.backoff_max, settings.backoff_min * 2.0**self._attempt)
        if ceiling < settings.backoff_max:
            self._attempt += 1
        jittered = ceiling * self._random.uniform(0.5, 1.0)
        return max(jittered, asked * self._random.uniform(1.0, 1.25))

    def reset(self) -> None:
        """Begin again with the shortest."""
        self._attempt = 0
