"""Directories put back in time, copied to another member, or gone: recognised, and nothing settled is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import cables, drill_in, fault, suffer

from ops.tables.plan import Kind


@pytest.mark.parametrize(
    "kind",
    [
        Kind.RESTORE_PRIMARY,
        pytest.param(Kind.CLONE, marks=pytest.mark.long),
        pytest.param(Kind.RESTORE_HEIR, marks=pytest.mark.long),
        pytest.param(Kind.LOSE_PRIMARY, marks=pytest.mark.long),
    ],
)
async def test_an_older_or_foreign_directory_loses_nothing_settled(tmp_path: Path, kind: Kind) -> None:
    async with drill_in(tmp_path, seed=74, cables=cables("namespaces", tmp_path)) as drill:
        await suffer(drill, [fault(kind, group=0.3)])
        assert drill.record.rolled_back
