"""Links between members cut, one way too: both sides serve, and nothing is lost when they meet again."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import cables, drill_in, fault, suffer

from ops.tables.plan import Kind


@pytest.mark.parametrize(
    ("kinds", "by"),
    [
        ((Kind.ISOLATE_PRIMARY, Kind.CUT_PAIR), "namespaces"),
        pytest.param(
            (Kind.CUT_ONE_WAY, Kind.MUTE_PRIMARY, Kind.DEAF_PRIMARY), "namespaces", marks=pytest.mark.long
        ),
        pytest.param((Kind.ISOLATE_PRIMARY, Kind.CUT_ONE_WAY), "proxies", marks=pytest.mark.long),
    ],
)
async def test_cut_links_lose_nothing(tmp_path: Path, kinds: tuple[Kind, ...], by: str) -> None:
    async with drill_in(tmp_path, seed=72, cables=cables(by, tmp_path)) as drill:
        faults = [fault(kind, group=place / 4, seconds=0.6) for place, kind in enumerate(kinds)]
        await suffer(drill, faults)
        assert drill.record.windows == len(kinds)
