"""What the hub counts: plain numbers it adds to, and the frozen picture of them that is handed out."""

from __future__ import annotations

import attrs

from node.histogram import Distribution, Histogram


@attrs.frozen
class HubStatistics:
    """A picture of the counters.

    Attributes:
        handshaking: connections whose TLS handshake isn't done; handshakes_waiting: those of them that
            wait for a step.
        held_up: how often the hub itself came seconds late.
        batches: events in a pass.
        lag_us: between two looks at the poll set while there was work: the longest that a ready socket had
            to wait to be noticed.
    """

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
    handshaking: int
    handshakes_waiting: int
    handshakes_done: int
    handshakes_failed: int
    blocked_writers: int
    writes_blocked: int
    pauses: int
    stale_events: int
    trims: int
    held_up: int
    soon_waiting: int
    soon_called: int
    batches: Distribution
    lag_us: Distribution


class Counters:
    """Monotonic unless said otherwise."""

    __slots__ = (
        "accept_errors",
        "accepted",
        "batches",
        "bytes_in",
        "bytes_out",
        "closed",
        "connections",
        "events",
        "failures",
        "handshakes_done",
        "handshakes_failed",
        "handshaking",
        "held_up",
        "lag_us",
        "passes",
        "pauses",
        "refused",
        "soon_called",
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
        self.handshaking = 0  # now
        self.handshakes_done = 0
        self.handshakes_failed = 0
        self.pauses = 0  # connections not read from any more because they didn't read
        self.writes_blocked = 0
        self.stale_events = 0
        self.trims = 0
        self.soon_called = 0
        self.held_up = 0  # the hub itself was held up for seconds
        self.batches = Histogram()
        self.lag_us = Histogram()

    def picture(self, handshakes_waiting: int, blocked_writers: int, soon_waiting: int) -> HubStatistics:
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
            handshaking=self.handshaking,
            handshakes_waiting=handshakes_waiting,
            handshakes_done=self.handshakes_done,
            handshakes_failed=self.handshakes_failed,
            blocked_writers=blocked_writers,
            writes_blocked=self.writes_blocked,
            pauses=self.pauses,
            stale_events=self.stale_events,
            trims=self.trims,
            held_up=self.held_up,
            soon_waiting=soon_waiting,
            soon_called=self.soon_called,
            batches=self.batches.picture(),
            lag_us=self.lag_us.picture(),
        )
