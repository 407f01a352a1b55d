"""Who allocated what is still there: Python's own tracing of allocations (tracemalloc), for a while.

While it is on, every allocation costs about twice as much, and memory for its trace; so it ends early when the traces
have grown to a bound. What a trace holds is a file and a line, nothing of the memory itself.
"""

from __future__ import annotations

import time
import tracemalloc
from typing import Any, Final

import attrs
import trio

from admin.profiling.places import Places

TRACES_BYTES_MAX: Final = 8_388_608
"""Of the tracing itself; some 130,000 traces, whose copy takes 40 ms."""
LOOK_S: Final = 0.25
TOP_MAX: Final = 200
OWN: Final = (tracemalloc.Filter(False, tracemalloc.__file__), tracemalloc.Filter(False, __file__))


class TracingAlready(Exception):
    """Somebody else traces allocations in this process."""


@attrs.frozen
class Traced:
    """full: it ended early, because the traces had reached their bound."""

    seconds: float
    full: bool
    kept_bytes: int
    most_bytes: int
    hold_ms: float
    snapshot: tracemalloc.Snapshot


async def trace(seconds: float, bytes_max: int = TRACES_BYTES_MAX) -> Traced:
    """Trace for so long, or until the bound; off afterwards, also if cancelled.

    Raises:
        TracingAlready
    """
    if tracemalloc.is_tracing():
        raise TracingAlready
    tracemalloc.start()
    try:
        began = trio.current_time()
        until = began + seconds
        full = False
        while not full and trio.current_time() < until:
            await trio.sleep(min(LOOK_S, until - trio.current_time()))
            full = tracemalloc.get_tracemalloc_memory() > bytes_max
        kept, most = tracemalloc.get_traced_memory()
        took = trio.current_time() - began
        copied = time.perf_counter()
        snapshot = tracemalloc.take_snapshot()
        hold_ms = (time.perf_counter() - copied) * 1000
    finally:
        tracemalloc.stop()
    return Traced(took, full, kept, most, hold_ms, snapshot)


def told(traced: Traced, top: int, places: Places | None = None) -> dict[str, Any]:
    """The lines that keep most, as plain data. For a thread: it takes some microseconds for each trace."""
    known = places or Places()
    found = traced.snapshot.filter_traces(OWN).statistics("lineno")
    return {
        "seconds": round(traced.seconds, 3),
        "full": traced.full,
        "kept_bytes": traced.kept_bytes,
        "most_bytes": traced.most_bytes,
        "hold_ms": round(traced.hold_ms, 3),
        "lines": [
            {
                "bytes": one.size,
                "allocations": one.count,
                "line": f"{known.short(one.traceback[0].filename)}:{one.traceback[0].lineno}",
            }
            for one in found[:top]
        ],
    }
