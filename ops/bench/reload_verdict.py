"""Whether reloads kept what is promised of them: the loop hardly stands still, no message waits, memory stays level.

Memory grows with the first reloads, for these can be taken back; it is judged from when each new one pushes an older
one out. This module must never know how any of it was measured.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from admin.reload.service import UNDOS_MAX

PAUSE_MS_MAX: Final = 20.0
DELAY_MS_MAX: Final = 100.0
FULL: Final = UNDOS_MAX + 4
"""After so many reloads none is kept any more that wasn't before, and what older ones left has found new use."""
JUDGED_MIN: Final = 16
"""So many more are needed to tell growth from a heap's ups and downs."""
GROWTH_BYTES_MAX: Final = 64 << 10
"""A reload, on average. One whose code stayed would be 400 KB; the history takes about 1."""


def growth_of(memory: Sequence[int]) -> dict[str, int | None]:
    """
    Args:
        memory: bytes before the first reload, and after each.
    """
    level = memory[-1] - memory[FULL] if len(memory) > FULL + JUDGED_MIN else None
    return {
        "memory_growth_bytes": memory[-1] - memory[0],
        "memory_growth_after_reloads": FULL,
        "memory_growth_after_bytes": level,
        "memory_growth_after_bytes_max": (len(memory) - 1 - FULL) * GROWTH_BYTES_MAX
        if level is not None
        else None,
    }


def broken(
    pause_ms_max: float,
    delays_ms: Mapping[str, float | None],
    undisturbed_ms: Mapping[str, float | None],
    memory: Sequence[int],
) -> list[str]:
    """What wasn't kept, as text; nothing if all was.

    Args:
        delays_ms, undisturbed_ms: from sending to delivery, with and without reloads; `max` is the slowest message.
        memory: as `growth_of` has it.
    """
    found = []
    if pause_ms_max > PAUSE_MS_MAX:
        found.append(
            f"the loop stood still for {pause_ms_max:.1f} ms, {PAUSE_MS_MAX:.0f} at most were promised"
        )
    slowest = delays_ms["max"]
    if slowest is None:
        found.append("no message was delivered meanwhile")
    elif slowest > DELAY_MS_MAX:
        found.append(
            f"a message took {slowest:.0f} ms ({undisturbed_ms['max'] or 0.0:.0f} ms without reloads),"
            f" {DELAY_MS_MAX:.0f} at most were promised"
        )
    growth = growth_of(memory)
    grown, most = growth["memory_growth_after_bytes"], growth["memory_growth_after_bytes_max"]
    if grown is not None and most is not None and grown > most:
        found.append(
            f"memory grew by {grown:,} bytes in {len(memory) - 1 - FULL} reloads after the first {FULL},"
            f" {most:,} at most were promised"
        )
    return found
