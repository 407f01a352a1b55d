"""From a fleet at rest to what the judge says: reads the complete copies, and watches copies while they are written to.

It must never judge by itself, nor write anything to a member.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import trio

from ops.tables.fleet import Fleet
from ops.tables.handle import GoneError
from ops.tables.judge import Broken, judge, shrunk, torn
from ops.tables.record import Attempt, Key, Record
from ops.tables.schema import DRILLED, GATHERED, LEDGER, LEFT, MARK, MARKS, NOTE, NOTES, RIGHT, SETS, placed
from ops.tables.watching import PAGE_ROWS

LOOK_S: Final = 0.2
LOOK_KEYS: Final = 40


async def contents(fleet: Fleet) -> dict[str, dict[Key, Any]]:
    """table → key → value: of each partition, what its primary has.

    Raises:
        GoneError, MemberError
    """
    found: dict[str, dict[Key, Any]] = {}
    for group in DRILLED:
        declared = placed(group)
        for p in range(declared.partitions):
            _, primary, _ = await fleet.claim(group, p)
            for table in declared.group.tables:
                rows = found.setdefault(table.name, {})
                await _read(fleet, primary, rows, group=group, table=table.name, partition=p)
    return found


async def _read(fleet: Fleet, member: int, rows: dict[Key, Any], **what: Any) -> None:
    after: list[Any] | None = None
    while True:
        some = (await fleet.handle(member).must("contents", after=after, **what))["rows"]
        assert some is not None, f"the copy of its primary isn't complete: {what}"
        rows.update((tuple(key), value) for key, value in some)
        if len(some) < PAGE_ROWS:
            return
        after = some[-1][0]


async def verdict(fleet: Fleet, record: Record) -> list[Broken]:
    """What is broken in a fleet at rest."""
    return judge(record, await contents(fleet))


async def explain(fleet: Fleet, attempt: Attempt) -> list[str]:
    """What each member has of a key about which something is wrong, for whoever looks into it."""
    table = {NOTES: NOTE, MARKS: MARK}[attempt.group]
    told = []
    for number in fleet.running:
        answer = await fleet.handle(number).ask("explain", group=attempt.group, table=table, key=attempt.key)
        told.append(f"member {number}, {fleet.handle(number).pid}: {answer}")
    return told


class Watcher:
    """Looks at complete copies while everything goes wrong: transactions are whole, and merged lists only grow."""

    def __init__(self, fleet: Fleet, record: Record, seed: int, tell: Callable[[Broken], None]) -> None:
        self._fleet = fleet
        self._record = record
        self._rng = random.Random(f"watcher {seed}")
        self._tell = tell
        self._seen: dict[tuple[int, Key], list[int]] = {}  # (process id, key) → the list as it was
        self.looks = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await trio.sleep(LOOK_S)
            try:
                await self.step()
            except GoneError:
                continue

    async def step(self) -> None:
        """Look once, at one member."""
        running = self._fleet.running
        if not running:
            return
        member = self._rng.choice(running)
        handle = self._fleet.handle(member)
        keys = self._some(LEDGER)
        both = [[table, key] for key in keys for table in (LEFT, RIGHT)]
        values = (await handle.must("look", group=LEDGER, keys=both))["values"] or []
        for place, left in enumerate(values[::2]):
            self._found(torn(f"ledger {keys[place]} of member {member}", left, values[2 * place + 1]))
        keys = self._some(SETS)
        values = (await handle.must("look", group=SETS, keys=[[GATHERED, key] for key in keys]))["values"]
        for key, value in zip(keys, values or [], strict=False):
            now = value or []
            before = self._seen.get((handle.pid, key), [])
            self._found(shrunk(f"{GATHERED} {key} of member {member}", before, now))
            self._seen[handle.pid, key] = now
        self.looks += 1

    def _some(self, group: str) -> list[Key]:
        keys = [key for name, key in self._record.by_key if name == group][-4 * LOOK_KEYS :]
        return self._rng.sample(keys, min(LOOK_KEYS, len(keys)))

    def _found(self, broken: list[Broken]) -> None:
        for one in broken:
            self._tell(one)
