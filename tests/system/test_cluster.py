"""Nodes with phones: what a pause in the wrong moment must not lead to. A cluster under load is in
`test_cluster_releases`; longer runs, with pauses, splits and members that come and go: `waystation drill cluster`."""

from __future__ import annotations

from contextlib import AsyncExitStack, closing
from pathlib import Path

import trio

from client.client import Client
from client.errors import RequestRefused
from client.trust import Plain
from ops.faults import pins
from ops.faults.town import Town
from ops.history.writer import HistoryWriter
from ops.tables.cables import Plain as Uncut


def test_nobody_is_registered_by_a_primary_whose_heir_was_paused_a_moment_before(tmp_path: Path) -> None:
    with (
        closing(HistoryWriter(tmp_path / "town.jsonl", "town")) as history,
        Uncut(2) as cables,
        Town(tmp_path, history, cables, 2) as town,
    ):
        town.prepare()
        town.start_all()
        town.wait_whole(60.0)
        assert trio.run(_registered_after_a_pause, town, tmp_path) == []
        town.resume(town.nodes[1])


async def _registered_after_a_pause(town: Town, folder: Path) -> list[str]:
    """Of six numbers, each of which has a PIN, those that are registered while only one of two nodes runs: of about
    half of them it is the primary."""
    numbers = [f"+1555123000{n}" for n in range(6)]
    found: list[str] = []

    async def register(phone: Client, number: str, pin: str) -> None:
        try:
            await phone.register(pin)
        except RequestRefused:
            return
        found.append(number)

    with trio.fail_after(60.0):
        async with AsyncExitStack() as stack:
            waiting = []
            for number in numbers:
                opened = Client.open(folder / f"{number}.state", town.nodes[0].server, tls=Plain())
                phone = await stack.enter_async_context(opened)
                before = pins.mark(folder)
                await phone.request_pin(number)
                waiting.append((phone, number, await pins.wait_for_pin(folder, int(number[1:]), before)))
            town.pause(town.nodes[1])
            async with trio.open_nursery() as asking:
                for one in waiting:
                    asking.start_soon(register, *one)
    return found
