"""The members of a drill: each with a place of its own on disk, started, killed, paused, deprived of power.

It must never know what is written to them.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import trio

from ops.faults.disk import SmallDisk
from ops.powerloss.image import Account, Cut
from ops.powerloss.watch import WatchedDirectory
from ops.tables.assignment import Assignment
from ops.tables.cables import Cables
from ops.tables.handle import GO_ON, STOP, GoneError, Handle
from ops.tables.schema import DRILLED
from replication.clustersettings import node_of
from replication.zeromq.keys import ensure_keys

OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "replica": {
            "retry_ms": 200,
            "hail_ms": 500,
            "stuck_ms": 2_500,
            "spare_wait_ms": 300,
            "check_ms": 300,
            "persist_ms": 300,
            "start_wait_ms": 1_000,
        },
        "detector": {"beat_ms": 150, "suspect_ms": 900, "confirm_ms": 600},
        "links": {"heartbeat_ms": 300, "silence_ms_max": 1_500, "retry_ms_min": 20, "retry_ms_max": 300},
        "store": {"map_bytes": 1 << 31},
    }
)
"""Members that notice and mend faster than they would need to; a death is noticed after 1.5 s."""


class Seat:
    """One member's place, and its present life, if it has one. All that it writes is under `disk`."""

    def __init__(self, number: int, folder: Path, disk: SmallDisk | None, shim: Path | None) -> None:
        self.number = number
        self.folder = folder
        self.small = disk
        self.disk = folder / "disk" if disk is None else disk.place / "disk"
        self.data = self.disk / "data"
        self.data.mkdir(parents=True)
        self.key = ensure_keys(self.data).public
        self.watched = WatchedDirectory(self.disk, folder / "powerloss", shim) if shim else None
        self.handle: Handle | None = None
        self.paused = False
        self.ready = False
        self.lie = False  # from the next start on, its syncs make nothing durable
        self.sync_ms = 0  # from the next start on, how long each takes at least


class Fleet:
    """All members. Its processes end with the nursery's scope, or with `close`.

    Args:
        folder: for logs and data; what is in it from an earlier run is not used.
        options: laid over `OPTIONS`, by section.
        shim: the power-loss library; without it nothing can lose power.
        disks: members on a small disk, which is already there.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        folder: Path,
        cables: Cables,
        *,
        members: int = 3,
        groups: Sequence[str] = DRILLED,
        copies: int = 2,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        shim: Path | None = None,
        disks: Mapping[int, SmallDisk] | None = None,
    ) -> None:
        self.cables = cables
        self.groups = tuple(groups)
        self._nursery = nursery
        self.seats = []
        for number in range(members):
            place = folder / f"member-{number}"
            place.mkdir(parents=True)
            self.seats.append(Seat(number, place, (disks or {}).get(number), shim))
        sections = {name: {**part, **(options or {}).get(name, {})} for name, part in OPTIONS.items()}
        if cables.group_ports is not None:
            sections["links"]["group_ports"] = cables.group_ports
        for seat in self.seats:
            known = [
                (one.key, cables.address(one.number, seat.number), f"server-{one.number}")
                for one in self.seats
            ]
            assignment = Assignment(str(seat.data), "drill", known, list(groups), copies, **sections)
            assignment.write(seat.folder / "assignment.json")

    # ---- lives -----------------------------------------------------------------------------------

    def launch(self, number: int) -> Handle:
        """Start a member; it isn't ready yet."""
        seat = self.seats[number]
        assert seat.handle is None
        environment = seat.watched.environment(seat.lie, seat.sync_ms) if seat.watched else {}
        seat.handle = Handle.start(
            self._nursery,
            seat.folder / "assignment.json",
            seat.folder / "member.log",
            prefix=self.cables.prefix(number),
            environment=environment,
        )
        return seat.handle

    async def start(self, *numbers: int) -> None:
        """Start members, by default all that don't run, and wait until they take orders.

        Raises:
            MemberError
        """
        chosen = numbers or [seat.number for seat in self.seats if seat.handle is None]
        for number in chosen:
            self.launch(number)
        for number in chosen:
            seat = self.seats[number]
            assert seat.handle is not None
            await seat.handle.wait_ready()
            seat.ready = True

    async def kill(self, *numbers: int) -> None:
        """`kill -9`, all of them before any is waited for."""
        ended = [self.handle(number) for number in numbers]
        for number in numbers:
            self.seats[number].ready = self.seats[number].paused = False
            self.seats[number].handle = None
        async with trio.open_nursery() as nursery:
            for handle in ended:
                handle.signal(9)
                nursery.start_soon(handle.kill)

    async def stop(self, *numbers: int) -> list[int]:
        """Let members end by themselves; their exit codes."""
        chosen = numbers or [seat.number for seat in self.seats if seat.handle is not None]
        codes = []
        for number in chosen:
            handle = self.handle(number)
            self.seats[number].ready = False
            self.seats[number].handle = None
            codes.append(await handle.end())
        return codes

    def pause(self, number: int) -> None:
        """It doesn't run until `resume`."""
        self.handle(number).signal(STOP)
        self.seats[number].paused = True

    def resume(self, number: int) -> None:
        self.handle(number).signal(GO_ON)
        self.seats[number].paused = False

    async def lose_power(self, cuts: Mapping[int, Cut]) -> list[Account]:
        """Kill members at once, and leave on each disk what a power failure would have left.

        Raises:
            JournalError: the shim didn't see everything, so that this would prove nothing.
        """
        await self.kill(*(number for number in cuts if self.seats[number].handle is not None))
        accounts = []
        for number, cut in cuts.items():
            watched = self.seats[number].watched
            assert watched is not None, "this fleet was made without the shim"
            accounts.append(watched.lose_power(cut))
        return accounts

    # ---- directories -----------------------------------------------------------------------------

    def keep_copy(self, number: int) -> Path:
        """Copy a member's directory, which doesn't run; gives where the copy is."""
        seat = self.seats[number]
        assert seat.handle is None
        target = seat.folder / "copy"
        if target.exists():
            shutil.rmtree(target)
        shutil.copytree(seat.data, target)
        return target

    def put_copy(self, number: int, copy: Path | None) -> None:
        """Put a copy, or nothing, in the place of a member's directory; the key stays the member's own."""
        seat = self.seats[number]
        assert seat.handle is None
        shutil.rmtree(seat.data / "store")
        if copy is not None:
            shutil.copytree(copy / "store", seat.data / "store")
        if seat.watched is not None:
            seat.watched.begin()

    # ---- asking ----------------------------------------------------------------------------------

    def handle(self, number: int) -> Handle:
        """Raises GoneError: it doesn't run."""
        handle = self.seats[number].handle
        if handle is None:
            raise GoneError(f"member {number} doesn't run")
        return handle

    @property
    def running(self) -> list[int]:
        """Members that take orders now."""
        return [seat.number for seat in self.seats if seat.ready and not seat.paused]

    def number_of(self, node: str) -> int:
        """The member with an id."""
        return self._ids.index(node)

    @property
    def _ids(self) -> list[str]:
        return [node_of(seat.key).hex() for seat in self.seats]

    async def claim(self, group: str, partition: int = 0) -> tuple[int, int, int | None]:
        """(epoch, primary, heir) as the running members know it that know the highest one. Members by number.

        Raises:
            GoneError, MemberError: nobody runs.
        """
        best: list[Any] | None = None
        for number in self.running:
            status = await self.handle(number).must("status")
            claim = status["groups"][group]["parts"][partition]["claim"]
            if claim is not None and (best is None or claim[:2] > best[:2]):
                best = claim
        if best is None:
            raise GoneError(f"nobody has claimed partition {partition} of {group}")
        epoch, primary, heir = best
        return epoch, self.number_of(primary), None if heir is None else self.number_of(heir)
