"""What a live view knows, and how keys change it. Pure: who asks the nodes and who draws isn't known here."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import attrs

LATE_S: Final = 3.0
"""A node that has said nothing for so long is shown as lost; what it said last stays beside it."""

COLUMNS: Final = (
    ("sess", "sessions", 7),
    ("in/s", "taken_per_s", 7),
    ("out/s", "delivered_per_s", 7),
    ("tick99", "accepted_ms_p99", 7),
    ("lag99", "lag_ms_p99", 7),
    ("queue", "queue", 8),
    ("age", "age_s", 6),
    ("cpu%", "cpu_percent", 6),
    ("rssMB", "resident_mb", 7),
    ("alarms", "alarms_raised", 7),
)
"""Heading, what of a node's picture, width. By these it can be sorted, and by name."""
SORTS: Final = ("node", *(heading for heading, _, _ in COLUMNS))


@attrs.define
class Seen:
    """One node. at: when it last said something; error: why it says nothing now."""

    picture: Mapping[str, Any] | None = None
    at: float = 0.0
    error: str = ""

    def figures(self) -> dict[str, float | None]:
        """By the names of COLUMNS; nothing is known of a node that never answered."""
        if self.picture is None:
            return {}
        queues = self.picture["queues"]
        resident = self.picture["resident_bytes"]
        return {
            **{name: self.picture.get(name) for _, name, _ in COLUMNS},
            "queue": sum(queue["length"] for queue in queues),
            "age_s": max((queue["age_s"] for queue in queues), default=0.0),
            "resident_mb": None if resident is None else resident / (1 << 20),
        }


@attrs.define
class TopState:
    """nodes: by name. chosen: the one that the mark is on. single: only that one is shown, with more of it."""

    nodes: dict[str, Seen]
    sort: str = "node"
    reverse: bool = False
    chosen: str = ""
    single: bool = False
    paused: bool = False
    helping: bool = False

    @classmethod
    def of(cls, names: Sequence[str]) -> "TopState":
        """Before anybody has answered. With one node, more of it is shown at once."""
        assert names
        return cls({name: Seen() for name in names}, chosen=names[0], single=len(names) == 1)

    def take(self, name: str, picture: Mapping[str, Any] | None, error: str, now: float) -> None:
        """What a node said, or why it says nothing. Nothing is taken in during a pause."""
        if self.paused:
            return
        seen = self.nodes[name]
        if picture is not None:
            seen.picture, seen.at = picture, now
        seen.error = error

    def is_lost(self, name: str, now: float) -> bool:
        """Whether what is shown of it isn't of now."""
        seen = self.nodes[name]
        return bool(seen.error) or (seen.picture is not None and not self.paused and now - seen.at > LATE_S)

    def ordered(self) -> list[str]:
        """Names as they are shown: the most first, names by alphabet; who has no figure is last."""
        names = sorted(self.nodes)
        if self.sort == "node":
            return names[::-1] if self.reverse else names
        what = next(name for heading, name, _ in COLUMNS if heading == self.sort)
        found = {name: self.nodes[name].figures().get(what) for name in names}
        known = [name for name in names if found[name] is not None]
        known.sort(key=lambda name: found[name] or 0.0, reverse=not self.reverse)
        return known + [name for name in names if found[name] is None]

    def press(self, key: str) -> bool:
        """A key; False: leave."""
        if self.helping and key != "q":
            self.helping = False
            return True
        match key:
            case "q":
                return False
            case "p" | " ":
                self.paused = not self.paused
            case "s" | ">":
                self._sort(1)
            case "S" | "<":
                self._sort(-1)
            case "r":
                self.reverse = not self.reverse
            case "up" | "k":
                self._move(-1)
            case "down" | "j":
                self._move(1)
            case "enter":
                self.single = True
            case "escape" | "a":
                self.single = len(self.nodes) == 1
            case "h" | "?":
                self.helping = True
        return True

    def _sort(self, by: int) -> None:
        self.sort = SORTS[(SORTS.index(self.sort) + by) % len(SORTS)]

    def _move(self, by: int) -> None:
        names = self.ordered()
        place = names.index(self.chosen) + by
        self.chosen = names[min(max(place, 0), len(names) - 1)]
