"""A trace over the channel: lines while it lasts, a summary, and nothing left behind however it ends."""

from pathlib import Path
from typing import Any

import pytest
import trio

from admin.channel.errors import Refused
from tests.ops.operated import ALICE, BOB, Operated, operated

A = "+15551230001"


async def traced(node: Operated) -> None:
    with trio.fail_after(10):
        while not node.node.service.traces:  # noqa: ASYNC110 - another task begins it
            await trio.sleep(0.01)


async def test_lines_come_while_it_lasts_and_a_stop_ends_it(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        lines: list[dict[str, Any]] = []

        async def look() -> None:
            with pytest.raises(Refused, match="ended, as was asked"):
                await node.ask(f"trace {A} --seconds 1h", lines.append, stop=lambda: len(lines) >= 2)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await traced(node)
            with pytest.raises(Refused, match="is traced already"):
                await node.ask(f"trace {A}")
            alice, bob = await node.node.login(ALICE), await node.node.login(BOB)
            await bob.send(BOB.send(ALICE, 1, b"never shown"))
            await alice.next()
        assert [one["verb"] for one in lines[:2]] == ["login", "deliver"]
        assert "never shown" not in str(lines)
        assert node.node.service.traces == {}


async def test_it_ends_by_itself_and_says_how_much_there_was(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        assert await node.ask(f"trace {A} --seconds 100ms") == {"in": 0, "out": 0, "hidden": 0}
        assert node.node.service.traces == {}
