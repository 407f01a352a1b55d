"""How often Python collects garbage, and how long each collection holds everything up."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping
from typing import Any

from node.histogram import Histogram


class Garbage:
    """Listens to the collector from `watch` to `unwatch`."""

    __slots__ = ("_began", "_pauses_us")

    def __init__(self) -> None:
        self._began = 0.0
        self._pauses_us = Histogram()

    def watch(self) -> None:
        gc.callbacks.append(self._heard)

    def unwatch(self) -> None:
        gc.callbacks.remove(self._heard)

    def _heard(self, phase: str, info: Mapping[str, int]) -> None:
        """One collection at a time, whichever thread brought it about."""
        if phase == "start":
            self._began = time.perf_counter()
        elif self._began:
            self._pauses_us.record(int((time.perf_counter() - self._began) * 1e6))
            self._began = 0.0

    def statistics(self) -> dict[str, Any]:
        """Counts by generation, and the pauses."""
        found: dict[str, Any] = {"collections": {}, "collected": {}, "uncollectable": {}}
        for generation, counts in enumerate(gc.get_stats()):
            for name, by_generation in found.items():
                by_generation[str(generation)] = counts[name]
        picture = self._pauses_us.picture()
        found["pauses_us"] = {
            "buckets": picture.buckets,
            "most": picture.most,
            "total": picture.total,
        }
        return found
