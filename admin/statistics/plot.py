"""A figure over time as lines of text: eight steps to a character, the axis on the left, times below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

BARS: Final = " ▁▂▃▄▅▆▇█"
_AXIS_WIDTH: Final = 11


def plot(points: Sequence[tuple[float, float | None]], width: int, height: int) -> list[str]:
    """Lines, highest first. points: (time, value or None), in order; of those that share a place the most is drawn.

    width and height are those of the whole, the axis included.
    """
    room = max(1, width - _AXIS_WIDTH - 1)
    places = _places(points, room)
    known = [value for value in places if value is not None]
    top = max(known, default=0.0) or 1.0
    rows = []
    for row in range(height, 0, -1):
        label = _short(top * row / height) if row in (height, (height + 1) // 2) else ""
        cells = "".join(_cell(value, top, row, height) for value in places)
        rows.append(f"{label.rjust(_AXIS_WIDTH)}┤{cells}")
    rows.append("0".rjust(_AXIS_WIDTH) + "┼" + "─" * len(places))
    return rows


def _places(points: Sequence[tuple[float, float | None]], room: int) -> list[float | None]:
    if len(points) <= room:
        return [value for _, value in points]
    first, last = points[0][0], points[-1][0]
    places: list[float | None] = [None] * room
    for at, value in points:
        place = int((at - first) / (last - first) * (room - 1)) if last > first else 0
        before = places[place]
        if value is not None and (before is None or value > before):
            places[place] = value
    return places


def _cell(value: float | None, top: float, row: int, height: int) -> str:
    if value is None:
        return "·" if row == 1 else " "
    eighths = round(value / top * height * 8) - (row - 1) * 8
    return BARS[max(0, min(8, eighths))]


def _short(value: float) -> str:
    """Five figures at most: 1234, 12.3k, 4.56M."""
    for limit, factor, ending in ((1e4, 1.0, ""), (1e7, 1e3, "k"), (1e10, 1e6, "M"), (1e13, 1e9, "G")):
        if value < limit:
            return f"{value / factor:.4g}{ending}"
    return f"{value:.2e}"
