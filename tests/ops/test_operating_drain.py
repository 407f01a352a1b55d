"""A drain: nobody more is taken, those who are here are sent away at a rate, nothing is lost; and it can be undone."""

from pathlib import Path
from typing import Any

import pytest
import trio

from admin.channel.errors import Refused
from node.wire import errors, verbs
from tests.node.live import Phone
from tests.ops.operated import ALICE, BOB, Operated, operated


async def ended(phone: Phone, frames: list[Any]) -> None:
    """A phone that hangs up when the node does."""
    frames += await phone.end()
    await trio.aclose_forcefully(phone.stream)


async def test_everybody_is_told_to_come_again_and_nobody_more_is_taken(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        phones = [await node.node.login(ALICE), await node.node.login(BOB), await node.node.greeted()]
        await phones[1].send(BOB.send(ALICE, 1))
        await phones[0].next()
        frames: list[Any] = []
        async with trio.open_nursery() as nursery:
            for phone in phones:
                nursery.start_soon(ended, phone, frames)
            result = await node.ask("drain --rate 1000 --retry 5s")
        assert (result["sent_away"], result["left"]) == (3, 0)
        byes = [frame for frame in frames if frame[0] == verbs.BYE]
        assert len(byes) == 3
        assert all(code == errors.SHUTTING_DOWN and 0 <= retry <= 5_000 for _, code, retry in byes)
        assert (await node.ask("info"))["draining"] is True
        refused = await node.node.connect()
        assert (await refused.refused(errors.SHUTTING_DOWN))[3] > 0
        assert (await node.ask("stats hub.refused")) == {"draining": 1}
        assert await node.ask("undrain") == {"draining": False, "was_draining": True}
        again = await node.node.login(ALICE)
        assert (await again.next())[0] == verbs.DELIVER, "what was not acknowledged comes again"


async def drains(node: Operated) -> None:
    with trio.fail_after(10):
        while not (await node.ask("info"))["draining"]:  # noqa: ASYNC110 - another command begins it
            await trio.sleep(0.01)


async def test_it_goes_at_its_rate_and_an_undrain_ends_it(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        phones = [await node.node.greeted() for _ in range(10)]
        said: list[str] = []

        async def drain() -> None:
            with pytest.raises(Refused) as refused:
                await node.ask("drain --rate 1 --retry 0s")
            said.append(str(refused.value))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain)
            await drains(node)
            await node.ask("undrain")
        sent, left = int(said[0].split("it: ")[1].split()[0]), node.node.running.hub.counters.connections
        assert sent + left == 10
        assert left > 5
        assert len(phones) == 10


async def test_ended_before_its_time_it_still_refuses(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.node.greeted()
        lines: list[Any] = []
        for _ in range(5):
            await node.node.greeted()
        with pytest.raises(Refused, match="ended, as was asked"):
            await node.ask("drain --rate 1", lines.append, stop=lambda: bool(lines))
        assert 1 <= lines[0]["sent_away"] <= 5
        assert lines[0]["left"] >= 1
        assert (await node.ask("info"))["draining"] is True
