"""Where the next connection goes: home, or once where a node said that this phone's mail is served.

A node says so to all of its phones at about the same time, after a failure or a planned move, so each waits a while of
its own first. The place is used for one connection; whatever ends that, the next goes home. If it can't be reached,
isn't trusted or doesn't let the phone in, such advice isn't heard for a while: it is advice, and home works. This
module must never know the time.
"""

from random import Random

from client.settings import Settings
from client.trust import Server


class Moving:
    """home: what the app named."""

    __slots__ = ("_at", "_away", "_home", "_next", "_quiet_until", "_random", "_settings", "moves")

    def __init__(self, home: Server, settings: Settings, random: Random) -> None:
        self._home = home
        self._settings = settings
        self._random = random
        self._next: Server | None = None  # where to go …
        self._at = 0.0  # … and when
        self._away: Server | None = None  # the connection that is, or is being made, goes there
        self._quiet_until = 0.0
        self.moves = 0

    def advise(self, now: float, host: str, port: int) -> bool:
        """A node named a place. Whether it will be followed."""
        place = Server(host, port)
        if not self._settings.follow_moves or now < self._quiet_until or place == (self._away or self._home):
            return False
        if self._next is None:
            self._at = now + self._random.uniform(0.0, self._settings.move_spread)
        self._next = place
        return True

    @property
    def deadline(self) -> float | None:
        """When the connection is to end for a move."""
        return None if self._next is None else self._at

    def is_due(self, now: float) -> bool:
        """Whether the connection is to end, and the next to begin without a wait."""
        return self._next is not None and self._at <= now

    def choose(self, now: float) -> Server:
        """Where to connect to now."""
        self._away = self._next if self.is_due(now) else None
        self._next = None
        if self._away is None:
            return self._home
        self.moves += 1
        return self._away

    def is_away(self) -> bool:
        """Whether the connection goes elsewhere than home."""
        return self._away is not None

    def failed(self, now: float) -> None:
        """It came to nothing."""
        if self._away is not None:
            self._away = None
            self._quiet_until = now + self._settings.move_pause
