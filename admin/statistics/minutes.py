"""Sixty records of a second become one of a minute.

The mean, but the most of quantiles, ages and lateness: of these a mean hides what somebody looks for a week later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MINUTE_S: Final = 60.0
_MOST: Final = (".p50", ".p99", ".most", "oldest_ms", ".lag_ms")


def keeps_most(name: str) -> bool:
    """Whether the most of a minute is what says something of it."""
    return name.endswith(_MOST) or name.startswith("age.") or name == "loop.late_ms"


class Minute:
    """What was added since it began."""

    __slots__ = ("began", "covers_s", "figures")

    def __init__(self, began: float) -> None:
        self.began = began
        self.covers_s = 0.0
        # Name → (sum of value × seconds, seconds), or (most, 0).
        self.figures: dict[str, tuple[float, float]] = {}


def add(minute: Minute, values: Mapping[str, float], covers_s: float) -> None:
    """A record of some seconds more."""
    figures = minute.figures
    minute.covers_s += covers_s
    for name, value in values.items():
        before = figures.get(name)
        if keeps_most(name):
            figures[name] = (value if before is None else max(before[0], value), 0.0)
        elif before is None:
            figures[name] = (value * covers_s, covers_s)
        else:
            figures[name] = (before[0] + value * covers_s, before[1] + covers_s)


def values_of(minute: Minute) -> dict[str, float]:
    """The minute as a record's values."""
    return {
        name: total if keeps_most(name) else (total / seconds if seconds else 0.0)
        for name, (total, seconds) in minute.figures.items()
    }
