"""Logins take their turn: so many a second, a few in one pass after everything else in it, in the order in which they
came. When the room where they wait is full, whoever comes next is told when to come again.

Those times are booked one after the other at the same rate, so the many that were put off at once come back evenly and
not together (a phone's own jitter alone would only smear them). This module must never know a phone, an account or a
clock.
"""

from collections.abc import Callable, Hashable

from node.hub.bucket import Bucket
from node.settings import SessionSettings

PER_PASS_MAX = 4
"""Logins. One takes 0.2 ms here; the frames of those who are in wait behind so many at most."""
BURST_MS = 100
"""Logins of so much time may come at once."""
UNDER_WAY_MAX = 150
"""Logins begun whose answer hasn't come, from a disk or from another node: when those are behind, this node doesn't
pile more on them. What they couldn't answer in time (8 s) would be work for nothing."""
STUCK_MAX = 2_000
"""The same with those of whose user no primary can be reached: they cost nobody anything, and others go on."""
WAIT_S_MAX = 5
"""What is in the room has its turn within so long; clients wait 20 s for an answer. If the first has waited longer,
this node isn't as fast as its rate, and takes nobody more until it is through."""
PACE_SHARE = 0.05
"""Of the time between the last two turns in what is thought of as the pace."""
RETRY_MS_LEAST = 1_000
RETRY_MS_MOST = 60_000
"""Who can't be booked before that is booked among the others from the beginning on: the room is asked again then."""


class Entrance:
    """Times are seconds of the caller's clock. Counts: let_in, put_off; under_way: let in and not answered; room: how
    many may wait.

    Args:
        stuck: how many of those under way nobody was asked for yet.
    """

    __slots__ = (
        "_booked", "_bucket", "_pace", "_rate", "_stuck", "_turn_at", "_waiting", "let_in", "put_off", "room",
        "under_way",
    )  # fmt: skip

    def __init__(self, settings: SessionSettings, stuck: Callable[[], int] = lambda: 0) -> None:
        self._waiting: dict[Hashable, tuple[float, Callable[[], None]]] = {}  # → since when, and what then
        self._stuck = stuck
        self._booked = 0.0  # until then all turns are given away
        self._turn_at = 0.0  # when the last was let in
        self._pace = 0.0  # seconds from one turn to the next, lately, while others waited
        self._set_rate(settings.logins_per_s_max)
        self._set_room(settings)
        self.let_in = 0
        self.put_off = 0
        self.under_way = 0

    def _set_rate(self, per_s: int) -> None:
        self._rate = per_s
        self._bucket = Bucket(per_s, max(1, per_s * BURST_MS // 1000))

    def _set_room(self, settings: SessionSettings) -> None:
        most = settings.logins_waiting_max
        self.room = min(most, self._rate * WAIT_S_MAX) if self._rate else most

    def adjust(self, settings: SessionSettings) -> None:
        """Other limits hold from now on. Who waits goes on waiting."""
        if settings.logins_per_s_max != self._rate:
            self._set_rate(settings.logins_per_s_max)
        self._set_room(settings)

    @property
    def waiting(self) -> int:
        """Logins that wait for their turn."""
        return len(self._waiting)

    def enter(self, one: Hashable, let_in: Callable[[], None], now: float) -> int:
        """0: `let_in` is called when it is its turn. Otherwise in how many ms it is to come again."""
        waiting = self._waiting
        if not waiting:
            self._turn_at, self._pace = now, 0.0
        if len(waiting) < self.room and not (waiting and now - next(iter(waiting.values()))[0] > WAIT_S_MAX):
            waiting[one] = (now, let_in)
            return 0
        self.put_off += 1
        return self.book(now)

    def book(self, now: float) -> int:
        """The next turn that nobody has, after those who wait: in how many ms."""
        if not self._rate:
            return RETRY_MS_LEAST
        pace = max(1 / self._rate, self._pace)
        free = now + min(RETRY_MS_MOST / 2000, max(RETRY_MS_LEAST / 1000, len(self._waiting) * pace))
        self._booked = max(self._booked, free) + pace
        if self._booked > now + RETRY_MS_MOST / 1000:
            self._booked = free
        return round((self._booked - now) * 1000)

    def leave(self, one: Hashable) -> None:
        """It went away. Nothing happens if it didn't wait."""
        self._waiting.pop(one, None)

    def work(self, now: float) -> None:
        """A pass's share of those whose turn it is. Each is to be followed by `answered`, once."""
        for _ in range(min(PER_PASS_MAX, len(self._waiting))):
            if now < self._bucket.opens_at or self._is_behind():
                return
            self._bucket.spend(now)
            _, let_in = self._waiting.pop(next(iter(self._waiting)))
            self._pace += PACE_SHARE * (now - self._turn_at - self._pace)
            self._turn_at = now
            self.let_in += 1
            self.under_way += 1
            let_in()

    def _is_behind(self) -> bool:
        """Whether those who answer are."""
        if self.under_way < UNDER_WAY_MAX:
            return False
        return self.under_way >= STUCK_MAX or self.under_way - self._stuck() >= UNDER_WAY_MAX

    def answered(self) -> None:
        """One that was let in has its answer, whatever it is."""
        assert self.under_way > 0
        self.under_way -= 1

    def wake_at(self) -> float | None:
        """When there is something to do; None: nobody waits, or for an answer first."""
        return None if not self._waiting or self._is_behind() else self._bucket.opens_at
