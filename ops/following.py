"""Lines of nodes as they happen, from their histories: one a node and interval, and dashes for a node that is silent.

It never waits for a node: what was to be shown of a silent one is shown as missing, so that a count always ends.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

import attrs

from admin.statistics.history import HistoryUnreadable
from admin.statistics.layout import SECOND, Record
from admin.statistics.minutes import Minute, add, values_of

LATE_S: Final = 5.0
"""A node that has kept nothing for so long doesn't run."""
STRETCH: Final = 1.5
"""A busy node's seconds may be so much longer; then what is missing of it is missing."""
POLL_S: Final = 0.1


class Readable(Protocol):
    """A history: a file of this machine, or a node that is asked."""

    def names(self) -> list[str]: ...

    def records(
        self, ring: int, since: float = ..., until: float = ..., after: int = ...
    ) -> list[Record]: ...

    def newest(self, ring: int, after: int) -> list[Record]: ...


class NothingThere(Exception):
    """There is nothing to show; the text says why."""


@attrs.frozen
class Shown:
    """One line: whose, when, and what; of a silent node it covers nothing."""

    node: str
    at: float
    covers_s: float
    values: dict[str, float]


class _Node:
    """How far one of them is."""

    __slots__ = ("due", "gathered", "heard", "name", "newest", "printed", "reader", "why")

    def __init__(self, name: str, reader: Readable) -> None:
        self.name = name
        self.reader = reader
        self.gathered = Minute(0.0)
        self.printed = self.newest = 0
        self.heard = self.due = 0.0
        self.why = ""


class Following:
    """Of some nodes.

    Args:
        interval: seconds to a line.
        count: lines of each node; None: until the caller has enough.
        wait, clock, wall: sleep; seconds; seconds since 1970.
    """

    def __init__(
        self,
        readers: Mapping[Path, Readable],
        interval: int,
        count: int | None = None,
        *,
        wait: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._nodes = [_Node(name_of(folder), reader) for folder, reader in readers.items()]
        self._interval = interval
        self._count = count
        self._wait = wait
        self._clock = clock
        self._wall = wall
        self.silent: dict[str, str] = {}
        """Nodes of which lines are missing, and why."""

    def lines(self) -> Iterator[Shown]:
        """They end with the count.

        Raises:
            NothingThere: nobody keeps anything.
            HistoryUnreadable: the only one there is can't be asked.
        """
        for node in self._nodes:
            node.newest = max((record.sequence for record in self._asked(node, first=True)), default=0)
        now = self._clock()
        for node in self._nodes:
            node.heard, node.due = now, now + self._interval
        ending = None if self._count is None else now + STRETCH * self._interval * self._count + LATE_S
        while any(self._lacks(node) for node in self._nodes):
            for node in self._nodes:
                yield from self._kept(node)
            now = self._clock()
            if all(now - node.heard > LATE_S for node in self._nodes):
                raise NothingThere(self._reasons())
            for node in self._nodes:
                yield from self._missing(node, now, over=ending is not None and now >= ending)
            self._wait(POLL_S)

    def _reasons(self) -> str:
        kept = f"nothing was kept for {LATE_S:.0f} s"
        if len(self._nodes) == 1:
            return f"{kept}: the node doesn't run"
        return "no node is heard: " + "; ".join(f"{node.name}: {node.why or kept}" for node in self._nodes)

    def _lacks(self, node: _Node) -> bool:
        return self._count is None or node.printed < self._count

    def _asked(self, node: _Node, *, first: bool = False) -> list[Record]:
        """One of several that can't be read is no other's trouble."""
        try:
            return node.reader.records(SECOND) if first else node.reader.newest(SECOND, node.newest)
        except HistoryUnreadable as error:
            if len(self._nodes) == 1:
                raise
            node.why = str(error)
            return []

    def _kept(self, node: _Node) -> Iterator[Shown]:
        records = self._asked(node)
        names = node.reader.names() if records else []
        for record in records:
            node.heard = self._clock()
            node.newest = record.sequence
            node.why = ""
            add(node.gathered, record.by_name(names), record.covers_s)
            if round(node.gathered.covers_s) >= self._interval and self._lacks(node):
                kept, node.gathered = node.gathered, Minute(0.0)
                node.printed += 1
                node.due = node.heard + self._interval
                yield Shown(node.name, record.at, kept.covers_s, values_of(kept))

    def _missing(self, node: _Node, now: float, *, over: bool) -> Iterator[Shown]:
        """What a silent one owes."""
        if not over and now - node.heard <= LATE_S:
            return
        while self._lacks(node) and (over or node.due <= now):
            self.silent.setdefault(node.name, node.why or f"nothing was kept for {LATE_S:.0f} s")
            node.gathered = Minute(0.0)
            node.printed += 1
            at = self._wall() - max(0.0, now - node.due)
            node.due += self._interval
            yield Shown(node.name, at, 0.0, {})


def name_of(folder: Path) -> str:
    """A node's name here: its directory's."""
    return folder.name or folder.resolve().name
