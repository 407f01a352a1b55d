"""A group that is stuck at one member never delays another, and doesn't stay stuck where there is a third member."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from fleets import drill_in

from ops.tables.drill import Drill
from ops.tables.quiet import rest, until
from ops.tables.record import MERGE, PUT
from ops.tables.schema import GATHERED, LEDGER, NOTE, NOTES, SETS, TRANSFER

STUCK = {"hold": "release", "jam": "unjam"}
"""Its links are not read; its committer stands still."""
FOREVER_MS = 3_600_000


async def put(drill: Drill, member: int, key: int) -> int:
    writes = [[PUT, NOTE, (key,), [key, ""]]]
    answer = await drill.fleet.handle(member).must(
        "write", group=NOTES, writes=writes, policy="settled", timeout=60.0
    )
    return int(answer["copies"])


@pytest.mark.parametrize("how", sorted(STUCK))
async def test_a_stuck_group_does_not_delay_another(tmp_path: Path, how: str) -> None:
    options = {"replica": {"stuck_ms": FOREVER_MS}}
    async with drill_in(tmp_path, seed=78, options=options) as drill:
        fleet = drill.fleet
        await fleet.start()
        await rest(fleet)
        _, primary, heir = await fleet.claim(NOTES)
        assert heir is not None
        await fleet.handle(heir).must(how, group=NOTES)
        ended: list[int] = []

        async def stuck() -> None:
            ended.append(await put(drill, primary, 1))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(stuck)
            for n in range(100):
                writes = [[MERGE, GATHERED, ("s",), [n]]]
                asked = fleet.handle(n % 3)
                done = await asked.must("write", group=SETS, writes=writes, policy="settled", timeout=30.0)
                assert done["copies"] == 2
                done = await asked.must("call", group=LEDGER, name=TRANSFER, arguments=[("s",), 1, n])
                assert done["copies"] == 2
            assert ended == [], "what is stuck was settled: nothing was proved"
            await fleet.handle(heir).must(STUCK[how], group=NOTES)
        assert ended == [2]
        await rest(fleet)


@pytest.mark.parametrize("how", ["hold", pytest.param("jam", marks=pytest.mark.long)])
async def test_a_stuck_heir_is_replaced_where_there_is_a_third_member(tmp_path: Path, how: str) -> None:
    async with drill_in(tmp_path, seed=79) as drill:
        fleet = drill.fleet
        await fleet.start()
        await rest(fleet)
        _, primary, heir = await fleet.claim(NOTES)
        assert heir is not None
        await fleet.handle(heir).must(how, group=NOTES)
        assert await put(drill, primary, 1) == 2

        async def replaced() -> str:
            _, _, now = await fleet.claim(NOTES)
            return "" if now not in (None, heir) else f"the heir is {now}"

        await until(replaced)
        await fleet.handle(heir).must(STUCK[how], group=NOTES)
        await rest(fleet)
