"""What the heap holds: objects by type, counted in slices between which the loop has its turns.

Only what the collector follows: containers and instances, not texts, bytes and numbers, and not what was there when the
node started (gc.freeze). Sizes are those of the objects alone, without what they refer to. Nothing but types is looked
at. The one thing that can't be done in slices is Python's own list of all objects: some 11 ms a million.
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import attrs
import trio

SLICE: Final = 1_000
"""Objects that are counted in one go: half a millisecond."""
TYPES_MAX: Final = 10_000
"""Types that are kept apart."""
TOP_MAX: Final = 500
OTHERS: Final = "(others)"


@attrs.frozen
class Heap:
    """objects, bytes: by type. hold_ms_max: how long this held the loop at once, at most."""

    objects: Counter[str]
    bytes: Counter[str]
    slices: int
    hold_ms_max: float


async def count(clock: Callable[[], float] = time.perf_counter) -> Heap:
    """On the loop, in slices. Objects that end meanwhile live until their slice is counted."""
    objects: Counter[type] = Counter()
    sizes: Counter[type] = Counter()
    began = clock()
    waiting = gc.get_objects()
    held = clock() - began
    slices = 0
    while waiting:
        await trio.lowlevel.checkpoint()
        began = clock()
        _count(waiting[-SLICE:], objects, sizes)
        del waiting[-SLICE:]
        slices += 1
        held = max(held, clock() - began)
    return Heap(_by_name(objects), _by_name(sizes), slices, round(held * 1000, 3))


def _count(some: list[Any], objects: Counter[type], sizes: Counter[type]) -> None:
    for one in some:
        kind = type(one)
        objects[kind] += 1
        try:
            sizes[kind] += sys.getsizeof(one)
        except Exception:  # noqa: BLE001, S112 - a type's own __sizeof__ that fails: it counts as nothing
            continue


def _by_name(counts: Counter[type]) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind, number in counts.items():
        name = f"{kind.__module__}.{kind.__qualname__}".removeprefix("builtins.")
        found[name if name in found or len(found) < TYPES_MAX else OTHERS] += number
    return found


def told(heap: Heap, before: Heap | None, top: int, by: str) -> dict[str, Any]:
    """As plain data: the `top` types by `by` (bytes, objects, or more: of what there is more than before)."""
    more = Counter(heap.objects)
    if before is not None:
        more.subtract(before.objects)
    orders = {"bytes": heap.bytes, "objects": heap.objects, "more": more}
    return {
        "objects": heap.objects.total(),
        "bytes": heap.bytes.total(),
        "hold_ms_max": heap.hold_ms_max,
        "slices": heap.slices,
        "collector": collector(),
        "types": [
            {
                "type": name,
                "objects": heap.objects[name],
                "bytes": heap.bytes[name],
                "more": more[name] if before is not None else None,
            }
            for name, _ in orders[by].most_common(top)
        ],
    }


def collector() -> dict[str, Any]:
    """What the collector says of itself, by generation."""
    return {
        "waiting": list(gc.get_count()),
        "thresholds": list(gc.get_threshold()),
        "collections": [one["collections"] for one in gc.get_stats()],
        "uncollectable": len(gc.garbage),
        "frozen": gc.get_freeze_count(),
        "blocks": sys.getallocatedblocks(),
    }
