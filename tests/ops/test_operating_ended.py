"""While a process hands over, its channel is heard and its hub has ended: what is asked of that is
refused, and never hangs."""

from pathlib import Path

import pytest
import trio

from admin.channel.errors import Refused
from admin.knobs.board import FILE
from node.hub import handing
from tests.ops.operated import ALICE, operated


@pytest.mark.parametrize("waits", [False, True])
async def test_commands_for_the_hub_are_refused_when_it_has_ended(tmp_path: Path, waits: bool) -> None:
    """waits: they came before its end, and weren't called any more."""
    refused: list[str] = []

    async def ask(line: str) -> None:
        with pytest.raises(Refused, match="is ending, or is handing over") as found:
            await node.ask(line)
        refused.append(str(found.value))

    lines = ("sessions disconnect +15551230001", "knob set limits.turn_ms_max 6")
    async with operated(tmp_path) as node:
        await node.node.login(ALICE)
        hub = node.node.running.hub
        hub.soon(lambda: handing.end(hub))
        await hub.stopped.wait()
        if waits:
            hub.stopped = trio.Event()
        async with trio.open_nursery() as asking:
            for line in lines:
                asking.start_soon(ask, line)
            while waits and len(hub._soon) < len(lines):  # noqa: ASYNC110
                await trio.sleep(0.01)
            hub.stopped.set()
        assert len(refused) == len(lines)
        kept = await trio.Path(tmp_path / "admin" / FILE).exists()
        assert kept == waits, "what was refused at once is kept nowhere"
        hub.close()
        await node.node.close_phones()
        node.node.stop.set()
