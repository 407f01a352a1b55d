"""A new copy of many records fills while it is written to, with bounded memory, and says how far it is."""

from __future__ import annotations

from pathlib import Path

from ops.tables.filling import fill

RECORDS = 200_000
GROWTH_MAX = 32 << 20
"""Some chunks of 2 MB at both ends, as bytes and as objects; all records are more than that even as bytes."""


async def test_a_new_copy_fills_with_bounded_memory_while_it_is_written_to(tmp_path: Path) -> None:
    figures = await fill(tmp_path, RECORDS, print)
    print(figures)
    assert figures.written_meanwhile > 0, "nothing was written meanwhile"
    assert figures.copy_memory_peak - figures.copy_memory_before < GROWTH_MAX
    assert figures.source_memory_peak - figures.source_memory_before < GROWTH_MAX
    assert figures.progress == sorted(figures.progress)
    assert all(0 <= share <= 1 for share in figures.progress)
    assert len(figures.progress) >= 3, "progress was hardly told"
