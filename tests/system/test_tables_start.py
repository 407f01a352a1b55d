"""Members start in any order, and one alone serves; the others join later and lack nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from fleets import drill_in, must_hold

from ops.tables.quiet import rest, served
from ops.tables.record import DONE, PUT
from ops.tables.schema import DRILLED, NOTE, NOTES


async def write(drill: object, member: int, key: int) -> int:
    """One settled write; gives on how many copies."""
    attempt = drill.record.begin(NOTES, (key,), PUT, "settled", member)  # type: ignore[attr-defined]
    writes = [[PUT, NOTE, (key,), [attempt.number, ""]]]
    asked = drill.fleet.handle(member)  # type: ignore[attr-defined]
    answer = await asked.must("write", group=NOTES, writes=writes, policy="settled", timeout=30.0)
    drill.record.end(attempt, DONE, answer["copies"])  # type: ignore[attr-defined]
    return int(answer["copies"])


@pytest.mark.parametrize("order", [(2, 1, 0), pytest.param((0, 1, 2), marks=pytest.mark.long)])
async def test_one_alone_serves_and_the_others_join_in_any_order(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    async with drill_in(tmp_path, seed=76) as drill:
        fleet = drill.fleet
        first, second, third = order
        await fleet.start(first)
        for group in DRILLED:
            await served(fleet, group)
        assert [await write(drill, first, key) for key in range(20)] == [1] * 20
        await fleet.start(second)
        await rest(fleet)
        assert [await write(drill, second, key) for key in range(10, 30)] == [2] * 20
        await fleet.start(third)
        await rest(fleet)
        assert [await write(drill, third, key) for key in range(20, 40)] == [2] * 20
        await drill.watcher.step()
        await drill.judge()
        must_hold(drill, settled=40)


async def test_the_one_that_stopped_first_may_start_first(tmp_path: Path) -> None:
    """Mnesia's last node to stop had to be the first to start. Here what is missing comes when the others do."""
    async with drill_in(tmp_path, seed=77) as drill:
        fleet = drill.fleet
        await drill.begin()
        stopped = []
        await drill.judge()
        for key in range(3):
            _, primary, heir = await fleet.claim(NOTES)
            assert await write(drill, primary, key) == (2 if heir is not None else 1)
            await fleet.stop(primary)
            stopped.append(primary)
            if fleet.running:
                await served(fleet, NOTES)
        for member in stopped:
            await fleet.start(member)
        await drill.judge()
        must_hold(drill, settled=1)
