"""What each figure of a node is: a count that only grows, a level, a histogram, the most since the start, or words.

A figure is known by its path in the nested dict of `statistics()`, its parts joined by points. A part in braces stands
for any name, and is a label where labels are known. What isn't in the table is taken for a level: shown, never summed.
This module must never know how a figure is measured.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import attrs

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
PEAK: Final = "peak"
"""The most since the start: falls only when the node starts anew."""
HISTOGRAM: Final = "histogram"
TEXT: Final = "text"


@attrs.frozen(eq=False)
class Figure:
    """One line of the table.

    path: its parts. unit: "" for plain numbers, otherwise bytes, seconds, us or ms.
    """

    path: tuple[str, ...]
    kind: str
    unit: str
    help: str

    def fits(self, parts: tuple[str, ...]) -> bool:
        """Whether a path is of this figure."""
        parts = self._gathered(parts)
        return len(parts) == len(self.path) and all(
            wanted == part or wanted.startswith("{") for wanted, part in zip(self.path, parts, strict=True)
        )

    def labels(self, parts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
        """The names that stood for braces: (label, value)."""
        return tuple(
            (wanted[1:-1], part)
            for wanted, part in zip(self.path, self._gathered(parts), strict=True)
            if wanted.startswith("{")
        )

    def _gathered(self, parts: tuple[str, ...]) -> tuple[str, ...]:
        """A name at the end may have points of its own."""
        last = len(self.path) - 1
        if self.path[last].startswith("{") and len(parts) > last:
            return (*parts[:last], ".".join(parts[last:]))
        return parts


def figure(path: str, kind: str, text: str, unit: str = "") -> Figure:
    """A line of the table, its path as it is read."""
    return Figure(tuple(path.split(".")), kind, unit, text)


def lines(kind: str, text: str) -> tuple[Figure, ...]:
    """Figures of one kind from lines of `path [unit]: what it is`."""
    found = []
    for line in filter(None, map(str.strip, text.splitlines())):
        place, _, said = line.partition(": ")
        path, _, unit = place.partition(" ")
        assert said, line
        found.append(figure(path, kind, said, unit.strip("[]")))
    return tuple(found)


FIGURES_MAX: Final = 8_192
"""Paths of which it is remembered what they are."""

UNKNOWN: Final = Figure((), GAUGE, "", "A figure that nothing more is known of.")


class Catalogue:
    """Finds a path's figure. Paths that were found are kept."""

    __slots__ = ("_find", "figures")

    def __init__(self, figures: tuple[Figure, ...]) -> None:
        self.figures = figures
        exact = {one.path: one for one in figures if not any(part.startswith("{") for part in one.path)}
        loose = tuple(one for one in figures if one.path not in exact)

        def find(path: str) -> Figure:
            parts = tuple(path.split("."))
            known = exact.get(parts)
            return known or next((one for one in loose if one.fits(parts)), UNKNOWN)

        self._find = lru_cache(FIGURES_MAX)(find)

    def of(self, path: str) -> Figure:
        """The figure that a path is of; UNKNOWN if there is none."""
        return self._find(path)
