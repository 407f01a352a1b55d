"""A new copy of many records fills while it is written to, with bounded memory, and says how far it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.tables.filling import fill

RECORDS = 300_000
GROWTH_MAX = 56 << 20
"""At both ends some chunks of 1 MB, as bytes and as objects; at the copy also the pages of one commit, 4 KB for each of
some 16,000 records at worst, since they come in the order of their changes. All records are 66 MB even as bytes."""


@pytest.mark.long
async def test_a_new_copy_fills_with_bounded_memory_while_it_is_written_to(tmp_path: Path) -> None:
    figures = await fill(tmp_path, RECORDS, print)
    print(figures)
    assert figures.written_meanwhile > 0, "nothing was written meanwhile"
    assert figures.copy_memory_peak - figures.copy_memory_before < GROWTH_MAX
    assert figures.source_memory_peak - figures.source_memory_before < GROWTH_MAX
    assert figures.progress == sorted(figures.progress)
    assert all(0 <= share <= 1 for share in figures.progress)
    assert len(figures.progress) >= 3, "progress was hardly told"
