"""The history of a node on another machine, asked for over the channel: read as a file of this machine is.

Only figures that are wanted are asked for, and rows are as fine as the node's command gives them: 600 at most.
"""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from admin.commands.statistics import FIGURES_MAX, ROWS_MAX
from admin.shell.crowd import TOLD
from admin.shell.nodes import Nodes
from admin.statistics.history import HistoryUnreadable
from admin.statistics.layout import MINUTE, MINUTES, SECOND, SECONDS, Record
from admin.statistics.minutes import MINUTE_S

LIVE_S: Final = 1.0
"""How often it is asked what is new,"""
LIVE_SPAN_S: Final = 10.0
"""and how far back: what was missed for longer is missing."""
SILENCE_S: Final = 10.0
AGAIN_S: Final = 10.0
"""A node that couldn't be asked isn't for so long: several are asked one after the other."""
_SPAN_MAX_S: Final = MINUTES * MINUTE_S


class HistoryElsewhere:
    """Of one node.

    Args:
        figures: those that are wanted.
        wall, clock: seconds since 1970; seconds.
    """

    def __init__(
        self,
        nodes: Nodes,
        name: str,
        figures: Sequence[str],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = nodes
        self._name = name
        self._figures = tuple(dict.fromkeys(figures))
        self._wall = wall
        self._clock = clock
        self._due = -math.inf

    def names(self) -> list[str]:
        """What records are asked for with."""
        return list(self._figures)

    def records(self, ring: int, since: float = 0.0, until: float = math.inf, after: int = 0) -> list[Record]:
        """As `HistoryReader.records`; several of the node's may be one. Raises HistoryUnreadable: it can't be asked."""
        least_s = MINUTE_S if ring == MINUTE else 1.0
        span_s = min(max(self._wall() - since, least_s), float(SECONDS) if ring == SECOND else _SPAN_MAX_S)
        found = self._ask(ring, span_s, max(least_s, span_s / ROWS_MAX))
        return [one for one in found if since <= one.at <= until and one.sequence > after]

    def newest(self, ring: int, after: int) -> list[Record]:
        """As `HistoryReader.newest`, asked for once a second at most."""
        if self._clock() < self._due:
            return []
        self._due = self._clock() + LIVE_S
        try:
            found = self._ask(ring, LIVE_SPAN_S, 1.0)
        except HistoryUnreadable:
            self._due = self._clock() + AGAIN_S
            raise
        return [one for one in found if one.sequence > after]

    def _ask(self, ring: int, span_s: float, every_s: float) -> list[Record]:
        rows: dict[float, dict[str, float]] = {}
        for first in range(0, len(self._figures), FIGURES_MAX):
            some = self._figures[first : first + FIGURES_MAX]
            for row in self._rows(("history", *some, "--kept", "--last", f"{span_s:.0f}s")):
                values = rows.setdefault(row.pop("at"), {})
                values |= {name: value for name, value in row.items() if value is not None}
        found, before = [], None
        for at in sorted(rows):
            covers_s = every_s if before is None else min(at - before, every_s + 1)
            values = rows[at]
            found.append(
                Record(
                    ring,
                    round(at),
                    at,
                    covers_s,
                    tuple(values.get(name, math.nan) for name in self._figures),
                )
            )
            before = at
        return found

    def _rows(self, words: Sequence[str]) -> list[dict[str, Any]]:
        try:
            rows: list[dict[str, Any]] = self._nodes.ask(self._name, words, seconds_max=SILENCE_S)
        except TOLD as error:
            raise HistoryUnreadable(f"{self._name}: {error}") from None
        return rows
