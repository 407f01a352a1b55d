"""Power loss of all members at once: what was settled survives it, and with a lying fsync the judge finds it gone."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from fleets import drill_in, fault, suffer

from ops.powerloss.image import Cut, Loss
from ops.tables.plan import Kind
from ops.tables.quiet import rest


@pytest.mark.long
async def test_what_was_settled_survives_power_loss_of_all(tmp_path: Path, shim: Path) -> None:
    async with drill_in(tmp_path, seed=73, shim=shim) as drill:
        for seat in drill.fleet.seats:
            seat.sync_ms = 20
        await suffer(drill, [fault(Kind.POWER_LOSS_OF_ALL, seed=seed) for seed in (1, 2)])


@pytest.mark.long
async def test_the_same_with_an_fsync_that_lies_loses_what_was_settled(tmp_path: Path, shim: Path) -> None:
    async with drill_in(tmp_path, seed=73, shim=shim) as drill:
        fleet = drill.fleet
        await fleet.start()
        await rest(fleet)
        await fleet.stop()
        for seat in fleet.seats:
            assert seat.watched is not None
            seat.watched.begin()  # the directory itself is sound: only this run's syncs are lies
            seat.lie = True
        await drill.begin()
        await trio.sleep(1.5)
        accounts = await fleet.lose_power({n: Cut(Loss.UNSYNCED) for n in range(3)})
        assert all(account.dropped_bytes > 0 for account in accounts)
        for seat in fleet.seats:
            seat.lie = False
        await fleet.start()
        await drill.judge()
        assert drill.record.settled(2) > 50
        assert sum(broken.rule == "lost" for broken in drill.broken) > 10
