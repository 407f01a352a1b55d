"""What the hub counts: plain numbers it adds to, and the frozen picture of them that is handed out."""

from __future__ import annotations

import attrs


class Histogram:
    """Counts of durations by powers of two of a microsecond."""

    __slots__ = ("buckets", "max_us")

    def __init__(self) -> None:
        self.buckets = [0] * 32  # bucket i: less than 2**i µs; the last one: the rest
        self.max_us = 0

    def record(self, seconds: float) -> None:
        us = int(seconds * 1e6)
        if us > self.max_us:
            self.max_us = us
        self.buckets[min(us.bit_length(), 31)] += 1

    def quantile_us(self, share: float) -> int:
        """An upper bound of the given quantile (0 to 1), as coarse as the buckets."""
        wanted = share * sum(self.buckets)
        seen = 0
        for index, count in enumerate(self.buckets):
            seen += count
            if seen >= wanted:
                return min((1 << index) - 1, self.max_us)
        return self.max_us


@attrs.frozen
class HubStatistics:
    """A picture of the counters. Durations in µs; lag is the time between two looks at the poll set while
    there was work, so the longest that a ready socket had to wait to be noticed."""

    connections: int
    accepted: int
    accept_errors: int
    refused: dict[str, int]
    closed: dict[int | str, int]
    bytes_in: int
    bytes_out: int
    events: int
    passes: int
    turns: int
    failures: int
    handshakes_pending: int
    handshakes_done: int
    handshakes_failed: int
    blocked_writers: int
    writes_blocked: int
    pauses: int
    stale_events: int
    trims: int
    held_up: int
    soon_waiting: int
    lag_us_p50: int
    lag_us_p99: int
    lag_us_max: int
    lag_us_buckets: tuple[int, ...]


class Counters:
    """Monotonic unless said otherwise."""

    __slots__ = (
        "accept_errors",
        "accepted",
        "bytes_in",
        "bytes_out",
        "closed",
        "connections",
        "events",
        "failures",
        "handshakes_done",
        "handshakes_failed",
        "held_up",
        "lag",
        "passes",
        "pauses",
        "refused",
        "stale_events",
        "trims",
        "turns",
        "writes_blocked",
    )

    def __init__(self) -> None:
        self.accepted = 0
        self.accept_errors = 0
        self.refused: dict[str, int] = {}  # reason → count
        self.connections = 0  # now
        self.closed: dict[int | str, int] = {}  # reason → count
        self.bytes_in = 0
        self.bytes_out = 0
        self.events = 0
        self.passes = 0
        self.turns = 0
        self.failures = 0  # exceptions of the handler
        self.handshakes_done = 0
        self.handshakes_failed = 0
        self.pauses = 0  # connections not read from any more because they didn't read
        self.writes_blocked = 0
        self.stale_events = 0
        self.trims = 0
        self.held_up = 0  # the hub itself was held up for seconds
        self.lag = Histogram()

    def picture(self, handshakes_pending: int, blocked_writers: int, soon_waiting: int) -> HubStatistics:
        """A copy that doesn't change."""
        return HubStatistics(
            connections=self.connections,
            accepted=self.accepted,
            accept_errors=self.accept_errors,
            refused=dict(self.refused),
            closed=dict(self.closed),
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            events=self.events,
            passes=self.passes,
            turns=self.turns,
            failures=self.failures,
            handshakes_pending=handshakes_pending,
            handshakes_done=self.handshakes_done,
            handshakes_failed=self.handshakes_failed,
            blocked_writers=blocked_writers,
            writes_blocked=self.writes_blocked,
            pauses=self.pauses,
            stale_events=self.stale_events,
            trims=self.trims,
            held_up=self.held_up,
            soon_waiting=soon_waiting,
            lag_us_p50=self.lag.quantile_us(0.5),
            lag_us_p99=self.lag.quantile_us(0.99),
            lag_us_max=self.lag.max_us,
            lag_us_buckets=tuple(self.lag.buckets),
        )
