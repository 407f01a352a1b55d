"""What the core wants done, gathered between two looks of the driver: writes, then frames, then events.

A write is urgent when a frame, an event or a caller relies on it; the others wait for the next urgent one or for a
short while, because losing them in a crash costs only a repeat on the wire. This module must never know what
the writes mean.
"""

from typing import Any

import attrs

from client.events import Event
from client.records import Frame, Write


@attrs.frozen
class Ready:
    """Commit `writes` in one transaction; then send `frames` in order; then tell `events`."""

    writes: list[Write] = attrs.field(repr=False)
    frames: list[Frame] = attrs.field(repr=False)
    events: list[Event] = attrs.field(repr=False)

    def __bool__(self) -> bool:
        return bool(self.writes or self.frames or self.events)


class Effects:
    """The gathering. A later write of the same key replaces the earlier one."""

    __slots__ = ("events", "frames", "lazy_since", "urgent", "writes")

    def __init__(self) -> None:
        self.writes: dict[tuple[str, tuple[Any, ...]], tuple[Any, ...] | None] = {}
        self.frames: list[Frame] = []
        self.events: list[Event] = []
        self.urgent = False
        self.lazy_since: float | None = None

    def write(self, write: Write, *, urgent: bool = False) -> None:
        """Put or delete one row."""
        table, key, row = write
        self.writes[table, key] = row
        self.urgent = self.urgent or urgent

    def take(self, *, flush: bool) -> Ready:
        """Everything gathered; the writes only if one is urgent or `flush` is asked."""
        writes: list[Write] = []
        if self.urgent or flush:
            writes = [(table, key, row) for (table, key), row in self.writes.items()]
            self.writes = {}
            self.urgent = False
            self.lazy_since = None
        ready = Ready(writes, self.frames, self.events)
        self.frames, self.events = [], []
        return ready
