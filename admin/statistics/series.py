"""What the sampler remembers of each figure. State only; the logic is in `sampler` and `queues`."""

from __future__ import annotations

from collections import deque

from admin.statistics.figures import Figure


class Count:
    """A counter: its last value, what the last interval added a second, and three decaying rates."""

    __slots__ = ("born", "figure", "per_s", "rates", "seen", "value")

    def __init__(self, figure: Figure, value: float, now: float) -> None:
        self.figure = figure
        self.value = value
        self.born = now  # what it had counted before isn't known to have come at any rate
        self.per_s = 0.0
        self.rates = [0.0, 0.0, 0.0]
        self.seen = 0


class Level:
    """A gauge or a peak."""

    __slots__ = ("figure", "seen", "value")

    def __init__(self, figure: Figure, value: float) -> None:
        self.figure = figure
        self.value = value
        self.seen = 0


class Words:
    """Text."""

    __slots__ = ("figure", "seen", "value")

    def __init__(self, figure: Figure, value: str | None) -> None:
        self.figure = figure
        self.value = value
        self.seen = 0


class Spread:
    """A histogram: all that was recorded, what the last interval added, and a decaying sum of about ten seconds."""

    __slots__ = ("added", "buckets", "figure", "most", "recent", "seen", "total")

    def __init__(self, figure: Figure, buckets: tuple[int, ...], most: int, total: int) -> None:
        self.figure = figure
        self.buckets = buckets
        self.most = most
        self.total = total
        self.added: tuple[int, ...] = ()  # empty: nothing
        self.recent = [0.0] * len(buckets)
        self.seen = 0


class Line:
    """A queue. `arrivals`: (when, how many had come in all by then), of those that are still in it."""

    __slots__ = (
        "age_s", "arrivals", "born", "came", "empty_at", "into", "length", "limit", "out", "seen", "went",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        self.born = now
        self.length = 0.0
        self.limit: float | None = None
        self.came = 0.0  # in all, since the first look
        self.went = 0.0
        self.into = [0.0, 0.0, 0.0]  # decaying rates
        self.out = [0.0, 0.0, 0.0]
        self.arrivals: deque[tuple[float, float]] = deque()
        self.empty_at = now
        self.age_s = 0.0
        self.seen = 0


class SamplerState:
    """All of it. `at`: when the last sample was taken, None before the first; `samples`: how many were; `left_out`:
    figures of the last that had no room."""

    __slots__ = (
        "at",
        "began",
        "counts",
        "interval_s",
        "left_out",
        "levels",
        "lines",
        "samples",
        "spreads",
        "words",
    )

    def __init__(self) -> None:
        self.at: float | None = None
        self.began = 0.0
        self.interval_s = 0.0
        self.samples = 0
        self.left_out = 0
        self.counts: dict[str, Count] = {}
        self.levels: dict[str, Level] = {}
        self.spreads: dict[str, Spread] = {}
        self.words: dict[str, Words] = {}
        self.lines: dict[str, Line] = {}
