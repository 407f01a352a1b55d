"""Members with replicated tables killed and stopped under load: what was settled is there, and copies are equal."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from fleets import drill_in, fault, must_hold, suffer

from ops.tables.plan import Kind
from ops.tables.quiet import rest, served, until
from ops.tables.record import DONE, TRANSFER, UNKNOWN
from ops.tables.schema import LEDGER

KEYS = 20


@pytest.mark.parametrize(
    "kinds",
    [
        (Kind.KILL_PRIMARY, Kind.RESTART_AT_ONCE),
        pytest.param((Kind.KILL_HEIR, Kind.KILL_TWO), marks=pytest.mark.long),
        pytest.param((Kind.KILL_ALL, Kind.MOVE), marks=pytest.mark.long),
        pytest.param((Kind.PAUSE_PRIMARY, Kind.PAUSE_HEIR), marks=pytest.mark.long),
    ],
    ids=lambda kinds: "+".join(kind.value for kind in kinds),
)
async def test_nothing_settled_is_lost_and_copies_are_equal(tmp_path: Path, kinds: tuple[Kind, ...]) -> None:
    async with drill_in(tmp_path, seed=70) as drill:
        await suffer(drill, [fault(kind, group=place / 4) for place, kind in enumerate(kinds)])


async def test_what_a_paused_primary_still_does_is_not_settled_against_the_new_one(tmp_path: Path) -> None:
    """It runs transactions under its old claim before it hears of the new one, on keys that the new one has changed."""
    async with drill_in(tmp_path, seed=71) as drill:
        fleet, record = drill.fleet, drill.record
        await fleet.start()
        await rest(fleet)
        epoch, old, new = await fleet.claim(LEDGER)
        assert new is not None
        answers: dict[tuple[int, int], str] = {}

        async def call(member: int, key: int) -> None:
            attempt = record.begin(LEDGER, (key,), TRANSFER, "settled", member)
            arguments = [(key,), 1, attempt.number]
            answer = await fleet.handle(member).ask("call", group=LEDGER, name=TRANSFER, arguments=arguments)
            record.end(attempt, UNKNOWN if "error" in answer else DONE, answer.get("copies", 0))
            answers[member, key] = answer.get("error", "")

        async def call_all(member: int) -> None:
            async with trio.open_nursery() as nursery:
                for key in range(KEYS):
                    nursery.start_soon(call, member, key)

        await call_all(old)
        await fleet.handle(old).must("hold", group=LEDGER)
        written = (await fleet.handle(old).must("status"))["groups"][LEDGER]["sequence"]
        fleet.pause(old)
        await served(fleet, LEDGER, but=old)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(call_all, old)
            await call_all(new)
            assert all(not answers[new, key] for key in range(KEYS))
            fleet.resume(old)

            async def waiting() -> str:
                group = (await fleet.handle(old).must("status"))["groups"][LEDGER]
                more = group["sequence"] - written  # two rows each; those of one pass wait as one
                return "" if group["waiting"] and more >= 2 * KEYS else f"{more} rows were written"

            await until(waiting)
            await fleet.handle(old).must("release", group=LEDGER)
        assert [answers[old, key] for key in range(KEYS)] == ["ClaimLost"] * KEYS
        await drill.watcher.step()
        await drill.judge()
        must_hold(drill, settled=2 * KEYS)
        assert (await fleet.claim(LEDGER))[0] > epoch
