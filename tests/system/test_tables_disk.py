"""A member's disk is full, and free again: nothing settled is lost, and no restart is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import drill_in, fault, suffer

from ops.faults.disk import SmallDisk
from ops.faults.unavailable import UnavailableError
from ops.tables.plan import Kind


@pytest.mark.parametrize(
    "kind", [Kind.DISK_FULL_PRIMARY, pytest.param(Kind.DISK_FULL_HEIR, marks=pytest.mark.long)]
)
async def test_a_full_disk_loses_nothing_and_needs_no_restart(tmp_path: Path, kind: Kind) -> None:
    try:
        with SmallDisk(tmp_path / "probe", 1 << 20):
            pass
    except UnavailableError as error:
        pytest.skip(str(error))
    async with drill_in(tmp_path, seed=75, small=range(3)) as drill:
        await drill.fleet.start()
        lives = [drill.fleet.handle(n).pid for n in range(3)]
        await suffer(drill, [fault(kind, seconds=2.0)])
        assert [drill.fleet.handle(n).pid for n in range(3)] == lives
