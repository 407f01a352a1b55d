"""Collapsed stacks as a flame graph: an SVG of its own, without a script. For the asker's side; knows no node.

The wider a box, the more samples it was in; what lies on it was called by it. Colours tell whose code it is, no more.
What is narrower than a pixel's part is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final
from zlib import crc32

import attrs

WIDTH: Final = 1_400
ROW: Final = 17
MARGIN: Final = 10
HEAD: Final = 34
CHARACTER: Final = 6.2
"""Width of one, about, in the font below."""
NARROWEST: Final = 0.3
DEPTH_MAX: Final = 256

OURS: Final = ("admin/", "node/", "ops/", "replication/", "store/")


@attrs.define
class Box:
    """A function as it was called from those below it."""

    name: str
    count: int = 0
    above: dict[str, Box] = attrs.Factory(dict)


class NotStacks(ValueError):
    """A line that isn't one of collapsed stacks."""


def tree(lines: Iterable[str]) -> Box:
    """All stacks put together. Raises NotStacks."""
    root = Box("all")
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            raise NotStacks(f"no stack: {line[:80]!r}")
        box = root
        box.count += int(count)
        for name in stack.split(";")[:DEPTH_MAX]:
            box = box.above.setdefault(name, Box(name))
            box.count += int(count)
    return root


def draw(lines: Iterable[str], title: str) -> str:
    """The picture. Raises NotStacks."""
    root = tree(lines)
    scale = (WIDTH - 2 * MARGIN) / (root.count or 1)
    boxes = list(_placed(root, scale))
    height = HEAD + ROW * (1 + max((depth for _, _, depth in boxes), default=0)) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}"'
        f' viewBox="0 0 {WIDTH} {height}" font-family="monospace" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fffdf8"/>',
        f'<text x="{MARGIN}" y="22" font-size="14">{escape(title)}</text>',
    ]
    for box, left, depth in boxes:
        width = box.count * scale
        top = height - MARGIN - ROW * (depth + 1)
        share = 100 * box.count / (root.count or 1)
        parts.append(
            f"<g><title>{escape(box.name)}: {box.count} samples, {share:.2f} %</title>"
            f'<rect x="{MARGIN + left * scale:.2f}" y="{top}" width="{width:.2f}" height="{ROW - 1}"'
            f' fill="{_colour(box.name)}" rx="1"/>{_label(box.name, MARGIN + left * scale, top, width)}</g>'
        )
    return "\n".join([*parts, "</svg>\n"])


def _placed(root: Box, scale: float) -> Iterator[tuple[Box, int, int]]:
    """Every box wide enough, how many samples lie left of it, and its row."""
    waiting = [(root, 0, 0)]
    while waiting:
        box, left, depth = waiting.pop()
        if box.count * scale < NARROWEST:
            continue
        yield box, left, depth
        for name in sorted(box.above):
            waiting.append((box.above[name], left, depth + 1))
            left += box.above[name].count


def _label(name: str, left: float, top: int, width: float) -> str:
    room = int((width - 4) / CHARACTER)
    if room < 3:
        return ""
    shown = name if len(name) <= room else f"{name[: room - 1]}…"
    return f'<text x="{left + 2:.2f}" y="{top + 12}">{escape(shown)}</text>'


def _colour(name: str) -> str:
    """Warm for ours, cool for others', grey for what is no function; a shade for each name."""
    shade = crc32(name.encode()) % 40
    if ":" not in name:
        return f"hsl(0,0%,{78 + shade // 4}%)"
    return f"hsl({12 + shade},82%,64%)" if name.startswith(OURS) else f"hsl({185 + shade},42%,72%)"
