"""One run: a fleet under load; a fault; then peace, rest, and the judge; and again.

    async with open_drill(folder, seed=1) as drill:
        await drill.begin()
        await drill.suffer(Fault(…))
        assert not drill.broken

It must never decide whether a promise held: the judge does, from what was written down.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import trio

from ops.faults.disk import SmallDisk
from ops.faults.drill import random_cut
from ops.faults.unavailable import UnavailableError
from ops.tables.cables import Cables, Plain
from ops.tables.fleet import Fleet
from ops.tables.judge import EXCUSED, Broken
from ops.tables.load import Valve, load
from ops.tables.plan import CUTS, Fault, Kind
from ops.tables.quiet import REST_S_MAX, rest, served
from ops.tables.record import Record
from ops.tables.schema import DRILLED
from ops.tables.verdict import Watcher, explain, verdict

PAUSE_S: Final = 0.01
"""Between two writes of a lane."""
BEFORE_S: Final = 0.7
"""Load before a fault."""
AFTER_S: Final = 0.7
"""Load after it, before peace."""
VANISH_S: Final = 0.4
"""Cut off before it is killed."""
DISK_BYTES: Final = 192 << 20
BROKEN_MAX: Final = 200
"""What is broken and told; one mistake breaks many keys."""

Tell = Callable[[str], None]


class Drill:
    """Made by `open_drill`."""

    def __init__(self, fleet: Fleet, record: Record, seed: int, tell: Tell) -> None:
        self.fleet = fleet
        self.record = record
        self.valve = Valve()
        self.broken: list[Broken] = []
        self.faults = 0
        self.excused: set[str] = set()
        self._tell = tell
        self.watcher = Watcher(fleet, record, seed, self._found)
        self._seed = seed

    async def begin(self, pause: float = PAUSE_S) -> None:
        """Start the members, wait for rest, and load.

        Raises:
            MemberError, RestlessError
        """
        await self.fleet.start()
        await rest(self.fleet)
        self._pause = pause
        self.valve.open(pause)

    async def suffer(self, fault: Fault, *, before: float = BEFORE_S, after: float = AFTER_S) -> None:
        """Load, the fault, load, peace, the judge. The load goes on afterwards.

        Raises:
            MemberError, RestlessError, JournalError: something didn't survive.
        """
        self._tell(f"{fault.kind.value} for {fault.seconds:.1f} s")
        self.record.note(f"{fault}")
        await trio.sleep(before)
        if fault.kind in CUTS:
            self.record.split()
        await DOINGS[fault.kind](self.fleet, self.record, fault)
        self.faults += 1
        await trio.sleep(after)
        await self.judge()
        self.valve.open(self._pause)

    async def judge(self, seconds_max: float = REST_S_MAX) -> None:
        """Stop the load, wait for rest, and see what is there.

        Raises:
            MemberError, RestlessError
        """
        await self.valve.close()
        await rest(self.fleet, seconds_max)
        self.record.healed()
        for broken in await verdict(self.fleet, self.record):
            if broken.rule == EXCUSED:
                if broken.where not in self.excused:
                    self.excused.add(broken.where)
                    self.record.note(f"{broken}")
                continue
            self._found(broken)
            if broken.attempt is not None:
                for line in await explain(self.fleet, broken.attempt):
                    self.record.note(line)

    def _found(self, broken: Broken) -> None:
        if len(self.broken) < BROKEN_MAX and broken not in self.broken:
            self.broken.append(broken)
            self.record.note(f"BROKEN {broken}")
            self._tell(f"BROKEN {broken}")

    async def run(self) -> None:
        """Load and watching, until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(load, self.fleet, self.record, self.valve, self._seed)
            nursery.start_soon(self.watcher.run)


@asynccontextmanager
async def open_drill(
    folder: Path,
    *,
    seed: int,
    cables: Cables | None = None,
    shim: Path | None = None,
    small: Sequence[int] = (),
    options: Mapping[str, Mapping[str, Any]] | None = None,
    tell: Tell = lambda _: None,
) -> AsyncIterator[Drill]:
    """A drill of three members in a folder; everything ends with it.

    Args:
        small: members whose disks can be filled.

    Raises:
        UnavailableError: the machine can't do what is asked.
    """
    with ExitStack() as stack:
        disks = {n: stack.enter_context(SmallDisk(folder / f"small-{n}", DISK_BYTES)) for n in small}
        record = Record(folder / "record.jsonl")
        stack.callback(record.close)
        chosen: Cables = Plain(3) if cables is None else cables
        stack.enter_context(chosen)
        async with trio.open_nursery() as nursery:
            fleet = Fleet(nursery, folder, chosen, shim=shim, disks=disks, options=options)
            drill = Drill(fleet, record, seed, tell)
            nursery.start_soon(drill.run)
            try:
                yield drill
            finally:
                with trio.CancelScope(shield=True):
                    await fleet.kill(*(seat.number for seat in fleet.seats if seat.handle is not None))
                nursery.cancel_scope.cancel()


# ---- what goes wrong --------------------------------------------------------------------------------


async def _roles(fleet: Fleet, fault: Fault) -> tuple[int, int, int]:
    """Primary, heir and the other one, of the group that is meant."""
    group = DRILLED[int(fault.group * len(DRILLED))]
    _, primary, heir = await fleet.claim(group)
    assert heir is not None, "at rest there is an heir"
    return primary, heir, next(n for n in range(len(fleet.seats)) if n not in (primary, heir))


async def _kill(fleet: Fleet, _: Record, fault: Fault) -> None:
    primary, heir, other = await _roles(fleet, fault)
    victims = {
        Kind.KILL_PRIMARY: (primary,),
        Kind.KILL_HEIR: (heir,),
        Kind.KILL_TWO: (primary, other),
        Kind.KILL_ALL: (primary, heir, other),
        Kind.RESTART_AT_ONCE: (primary,),
    }[fault.kind]
    await fleet.kill(*victims)
    if fault.kind is not Kind.RESTART_AT_ONCE:
        await trio.sleep(fault.seconds)
    await fleet.start(*victims)


async def _pause(fleet: Fleet, _: Record, fault: Fault) -> None:
    primary, heir, _other = await _roles(fleet, fault)
    victim = primary if fault.kind is Kind.PAUSE_PRIMARY else heir
    fleet.pause(victim)
    await trio.sleep(1.0 + fault.seconds)
    fleet.resume(victim)


async def _cut(fleet: Fleet, _: Record, fault: Fault) -> None:
    primary, heir, other = await _roles(fleet, fault)
    ways = {
        Kind.ISOLATE_PRIMARY: [(primary, heir), (heir, primary), (primary, other), (other, primary)],
        Kind.CUT_PAIR: [(primary, heir), (heir, primary)],
        Kind.CUT_ONE_WAY: [(primary, heir)] if fault.seed % 2 else [(heir, primary)],
        Kind.DEAF_PRIMARY: [(heir, primary), (other, primary)],
        Kind.MUTE_PRIMARY: [(primary, heir), (primary, other)],
    }[fault.kind]
    for source, target in ways:
        fleet.cables.cut(source, target)
    await trio.sleep(1.0 + fault.seconds)
    fleet.cables.heal()


async def _lose_power(fleet: Fleet, _: Record, fault: Fault) -> None:
    primary, heir, other = await _roles(fleet, fault)
    victims = (primary, heir, other) if fault.kind is Kind.POWER_LOSS_OF_ALL else (primary,)
    rng = random.Random(fault.seed)
    await fleet.lose_power({number: random_cut(rng.randrange(1 << 30)) for number in victims})
    for number in victims:
        fleet.cables.forget(number)
    await fleet.start(*victims)


async def _restore(fleet: Fleet, record: Record, fault: Fault) -> None:
    """The directory as it was some seconds ago, put in place while the member is down for a moment."""
    primary, heir, _other = await _roles(fleet, fault)
    victim = primary if fault.kind is Kind.RESTORE_PRIMARY else heir
    group = DRILLED[int(fault.group * len(DRILLED))]
    await fleet.stop(victim)
    copy = fleet.keep_copy(victim)
    await fleet.start(victim)
    await rest_under_load(fleet)
    if fault.kind is Kind.RESTORE_PRIMARY:
        await _bring_home(fleet, group, victim)
    await trio.sleep(fault.seconds)
    await _vanish(fleet, victim)
    fleet.put_copy(victim, copy)
    record.roll_back()
    await fleet.start(victim)


async def _lose(fleet: Fleet, record: Record, fault: Fault) -> None:
    """The primary's directory is gone for good, and an empty one is in its place."""
    primary, _heir, _other = await _roles(fleet, fault)
    await _vanish(fleet, primary)
    fleet.put_copy(primary, None)
    record.roll_back()
    await trio.sleep(fault.seconds)
    await fleet.start(primary)


async def _vanish(fleet: Fleet, member: int) -> None:
    """As when a server burns: cut off, for less time than anybody needs to notice, and killed; what it said last is
    heard by nobody. Where cables can't be cut it is only killed."""
    with suppress(UnavailableError):
        for other in range(len(fleet.seats)):
            if other != member:
                fleet.cables.cut(member, other)
                fleet.cables.cut(other, member)
        await trio.sleep(VANISH_S)
    await fleet.kill(member)
    fleet.cables.forget(member)
    fleet.cables.heal()


async def _bring_home(fleet: Fleet, group: str, member: int) -> None:
    """Make a member primary again of what it was primary of; best effort, for the load goes on."""
    _, primary, _heir = await fleet.claim(group)
    if primary != member:
        target = fleet.seats[member].key
        await fleet.handle(primary).ask("move", group=group, partition=0, target=target)


async def _clone(fleet: Fleet, record: Record, fault: Fault) -> None:
    """The store of the heir is copied over that of the third member."""
    _, heir, other = await _roles(fleet, fault)
    await fleet.stop(heir)
    copy = fleet.keep_copy(heir)
    await fleet.start(heir)
    await rest_under_load(fleet)
    await trio.sleep(fault.seconds)
    await fleet.kill(other)
    fleet.put_copy(other, copy)
    record.roll_back()
    await fleet.start(other)


async def _fill_disk(fleet: Fleet, _: Record, fault: Fault) -> None:
    primary, heir, _other = await _roles(fleet, fault)
    disk = fleet.seats[primary if fault.kind is Kind.DISK_FULL_PRIMARY else heir].small
    assert disk is not None
    disk.fill()
    await trio.sleep(fault.seconds)
    disk.free()


async def _move(fleet: Fleet, _: Record, fault: Fault) -> None:
    primary, heir, other = await _roles(fleet, fault)
    group = DRILLED[int(fault.group * len(DRILLED))]
    target = fleet.seats[heir if fault.seed % 2 else other].key
    await fleet.handle(primary).ask("move", group=group, partition=0, target=target)


async def rest_under_load(fleet: Fleet) -> None:
    """Wait until every group is served; what is written meanwhile goes on."""
    for group in DRILLED:
        await served(fleet, group)


Doing = Callable[[Fleet, Record, Fault], Awaitable[None]]

DOINGS: Final[Mapping[Kind, Doing]] = MappingProxyType(
    {
        **dict.fromkeys(
            (Kind.KILL_PRIMARY, Kind.KILL_HEIR, Kind.KILL_TWO, Kind.KILL_ALL, Kind.RESTART_AT_ONCE), _kill
        ),
        **dict.fromkeys((Kind.PAUSE_PRIMARY, Kind.PAUSE_HEIR), _pause),
        **dict.fromkeys(CUTS, _cut),
        **dict.fromkeys((Kind.POWER_LOSS_OF_ALL, Kind.POWER_LOSS_OF_PRIMARY), _lose_power),
        **dict.fromkeys((Kind.RESTORE_PRIMARY, Kind.RESTORE_HEIR), _restore),
        Kind.LOSE_PRIMARY: _lose,
        Kind.CLONE: _clone,
        **dict.fromkeys((Kind.DISK_FULL_PRIMARY, Kind.DISK_FULL_HEIR), _fill_disk),
        Kind.MOVE: _move,
    }
)
assert DOINGS.keys() == set(Kind)
