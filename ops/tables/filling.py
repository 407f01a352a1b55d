"""A new copy of many records fills while they are written to: how long it takes, what memory, and what it says of it.

    one member writes the records, alone; a second one joins, and fills; the load goes on meanwhile, settled

It must never decide whether a figure is good.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

from ops.tables.cables import Plain
from ops.tables.fleet import Fleet
from ops.tables.handle import Handle
from ops.tables.quiet import LIVE, rest, served
from ops.tables.schema import BULK, ROW

VALUE_BYTES: Final = 150
SLICE: Final = 100_000
"""Records written between two words about it."""
WRITERS: Final = 4
WRITE_S: Final = 0.005
"""Between two writes of a writer, while the copy fills."""
SAMPLE_S: Final = 0.1
TOLD_S: Final = 2.0
REST_S_MAX: Final = 600.0
OPTIONS: Final = (("store", (("map_bytes", 1 << 36),)),)


@define
class Figures:
    """Seconds and bytes. `memory`: anonymous memory, heaps and stacks; the database itself is mapped, and isn't in it.

    progress: what the new copy said while it filled, without repetitions.
    """

    records: int
    write_seconds: float = 0.0
    fill_seconds: float = 0.0
    records_per_second: float = 0.0
    written_meanwhile: int = 0
    copy_memory_before: int = 0
    copy_memory_peak: int = 0
    source_memory_before: int = 0
    source_memory_peak: int = 0
    copy_resident_peak: int = 0
    progress: list[float] = field(factory=list)


async def fill(folder: Path, records: int, tell: Callable[[str], None]) -> Figures:
    """Do it; both copies are equal when it returns.

    Raises:
        MemberError, GoneError, RestlessError
    """
    figures = Figures(records)
    with Plain(2) as cables:
        async with trio.open_nursery() as nursery:
            options = {section: dict(part) for section, part in OPTIONS}
            fleet = Fleet(nursery, folder, cables, members=2, groups=(BULK,), options=options)
            await fleet.start(0)
            await served(fleet, BULK)
            await _write_all(fleet, figures, tell)
            await _join(fleet, figures, tell)
            await rest(fleet, REST_S_MAX)
            figures.copy_resident_peak = fleet.handle(1).peak_bytes()
            await fleet.stop()
            nursery.cancel_scope.cancel()
    return figures


async def _write_all(fleet: Fleet, figures: Figures, tell: Callable[[str], None]) -> None:
    began = time.monotonic()
    for first in range(0, figures.records, SLICE):
        count = min(SLICE, figures.records - first)
        await fleet.handle(0).must("bulk", group=BULK, table=ROW, first=first, count=count, size=VALUE_BYTES)
        if first % (10 * SLICE) == 0:
            tell(f"{first + count} of {figures.records} records written")
    figures.write_seconds = time.monotonic() - began


async def _join(fleet: Fleet, figures: Figures, tell: Callable[[str], None]) -> None:
    await fleet.start(1)
    source, copy = fleet.handle(0), fleet.handle(1)
    figures.copy_memory_before = figures.copy_memory_peak = copy.memory().anonymous
    figures.source_memory_before = figures.source_memory_peak = source.memory().anonymous
    began = told = time.monotonic()
    async with trio.open_nursery() as nursery:
        for writer in range(WRITERS):
            nursery.start_soon(_write_on, fleet, figures, writer)
        while not await _filled(copy, figures):
            figures.copy_memory_peak = max(figures.copy_memory_peak, copy.memory().anonymous)
            figures.source_memory_peak = max(figures.source_memory_peak, source.memory().anonymous)
            if time.monotonic() - told > TOLD_S and figures.progress:
                told = time.monotonic()
                peak = figures.copy_memory_peak / 1e6
                tell(f"{figures.progress[-1]:.0%} filled, {peak:.0f} MB of memory at most")
            await trio.sleep(SAMPLE_S)
        figures.fill_seconds = time.monotonic() - began
        figures.records_per_second = figures.records / figures.fill_seconds
        nursery.cancel_scope.cancel()


async def _filled(copy: Handle, figures: Figures) -> bool:
    group: dict[str, Any] = (await copy.must("status"))["groups"][BULK]
    if group["parts"][0]["copy"] == LIVE:
        return True
    share = group["progress"]
    if group["wanted"] and (not figures.progress or figures.progress[-1] != share):
        figures.progress.append(share)
    return False


async def _write_on(fleet: Fleet, figures: Figures, writer: int) -> None:
    """Overwrite and add, through both members, each write settled."""
    turn = 0
    while True:
        turn += 1
        number = writer + turn * WRITERS
        key = figures.records + number if turn % 2 else number * 7_919 % figures.records
        writes = [["put", ROW, [key], [key, "new"]]]
        await fleet.handle(turn % 2).must("write", group=BULK, writes=writes, policy="settled", timeout=60.0)
        figures.written_meanwhile += 1
        await trio.sleep(WRITE_S)
