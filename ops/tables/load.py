"""Who writes during a drill: lanes, each a task that writes through one member, to keys of its own, one at a time.

It must never write again to a key of which it doesn't know how the last write ended.
"""

from __future__ import annotations

import random
from typing import Any, Final

import trio
from attrs import define, field

from ops.tables.fleet import Fleet
from ops.tables.handle import GoneError
from ops.tables.record import DELETE, DONE, MERGE, PUT, REFUSED, TRANSFER, UNKNOWN, Attempt, Key, Record
from ops.tables.schema import GATHERED, LEDGER, MARK, MARKS, MARKS_PARTITIONS, NOTE, NOTES, SETS
from ops.tables.schema import TRANSFER as PROCEDURE

LANES: Final = (NOTES, NOTES, MARKS, MARKS, SETS, SETS, LEDGER, LEDGER)
"""The groups that the lanes of one member write to."""
KEYS_MAX: Final = 6
"""Keys of one lane that it goes on with."""
TURNS_MAX: Final = 40
"""Writes of one key; then it is left alone."""
PADDING_MAX: Final = 400
TIMEOUT_S: Final = 4.0
AWAY_S: Final = 0.05
POLICIES: Final = ("settled",) * 7 + ("local",) * 2 + ("cast",)


@define
class Valve:
    """How much is written: seconds between two writes of a lane, on average; None: nothing."""

    pause: float | None = None
    under_way: int = 0
    _open: trio.Event = field(factory=trio.Event)

    def open(self, pause: float) -> None:
        self.pause = pause
        self._open.set()

    async def close(self) -> None:
        """Write nothing more, and wait for what is under way."""
        self.pause = None
        self._open = trio.Event()
        while self.under_way:  # noqa: ASYNC110
            await trio.sleep(0.01)

    async def wait_open(self) -> float:
        while self.pause is None:
            await self._open.wait()
        return self.pause


@define
class OwnKey:
    """A key that a lane goes on with."""

    key: Key
    turns: int = 0


class Lane:
    """One of them."""

    def __init__(
        self, fleet: Fleet, record: Record, valve: Valve, member: int, number: int, group: str, seed: int
    ) -> None:
        self._fleet = fleet
        self._record = record
        self._valve = valve
        self._member = member
        self._number = number
        self._group = group
        self._rng = random.Random(f"lane {seed} {member} {number}")
        self._keys: list[OwnKey] = []
        self._made = 0

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            pause = await self._valve.wait_open()
            if self._member in self._fleet.running or (
                self._fleet.seats[self._member].paused and self._rng.random() < 0.2
            ):
                await self._turn()
            else:
                await trio.sleep(AWAY_S)
            await trio.sleep(self._rng.expovariate(1 / pause) if pause else 0)

    async def _turn(self) -> None:
        own = self._choose()
        kind, policy, order = self._order(own)
        attempt = self._record.begin(self._group, own.key, kind, policy, self._member)
        self._valve.under_way += 1
        try:
            answer = await self._fleet.handle(self._member).ask(**order(attempt.number))
        except GoneError:
            answer = {"error": "GoneError"}
        finally:
            self._valve.under_way -= 1
        if not self._ended(attempt, answer):
            self._keys.remove(own)

    def _ended(self, attempt: Attempt, answer: dict[str, Any]) -> bool:
        """Whether the key may be written again."""
        if "refused" in answer:
            self._record.end(attempt, REFUSED)
        elif "error" in answer or attempt.policy == "cast":
            self._record.end(attempt, UNKNOWN)
        else:
            self._record.end(attempt, DONE, answer["copies"])
            return True
        return False

    def _choose(self) -> OwnKey:
        rng = self._rng
        self._keys = [own for own in self._keys if own.turns < TURNS_MAX]
        if self._keys and (len(self._keys) >= KEYS_MAX or rng.random() < 0.85):
            own = rng.choice(self._keys)
        else:
            self._made += 1
            key: Key = (self._member, self._number, self._made)
            own = OwnKey((rng.randrange(MARKS_PARTITIONS), *key) if self._group == MARKS else key)
            self._keys.append(own)
        own.turns += 1
        return own

    def _order(self, own: OwnKey) -> tuple[str, str, Any]:
        rng = self._rng
        policy = rng.choice(POLICIES)
        padding = "x" * rng.randrange(PADDING_MAX)
        base: dict[str, Any] = {
            "do": "write", "group": self._group, "policy": policy, "timeout": TIMEOUT_S,
        }  # fmt: skip
        if self._group == LEDGER:
            amount = rng.randint(-20, 20)
            what = {"do": "call", "group": LEDGER, "name": PROCEDURE}
            return TRANSFER, "settled", lambda number: {**what, "arguments": [own.key, amount, number]}
        if self._group == SETS:
            return MERGE, policy, lambda number: {**base, "writes": [[MERGE, GATHERED, own.key, [number]]]}
        table = NOTE if self._group == NOTES else MARK
        if own.turns > 1 and rng.random() < 0.15:
            return DELETE, policy, lambda number: {**base, "writes": [[DELETE, table, own.key]]}
        return PUT, policy, lambda number: {**base, "writes": [[PUT, table, own.key, [number, padding]]]}


async def load(fleet: Fleet, record: Record, valve: Valve, seed: int) -> None:
    """All lanes of all members, until cancelled."""
    async with trio.open_nursery() as nursery:
        for seat in fleet.seats:
            for number, group in enumerate(LANES):
                lane = Lane(fleet, record, valve, seat.number, number, group, seed)
                nursery.start_soon(lane.run)
