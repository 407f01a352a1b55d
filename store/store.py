"""The store: one data directory, its groups, and the way results come back to the loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal

import attrs
import trio

from store.declaring import schema_row
from store.directory import Directory
from store.environment import Environment
from store.errors import GroupInUse, StoreFatal, TableReadOnly, UnknownTable
from store.group import OpenGroup
from store.groupstate import GroupState
from store.limits import FORMAT, StoreSettings
from store.memory import warm_bytes_for
from store.opener import Opener, refuse_unconfirmed
from store.opening import NewIdentity, new_identity
from store.results import Results
from store.schema import Group


class Store:
    """An open store. Made by `Store.open`; close it, or use it as a context manager."""

    __slots__ = ("_changing", "_directory", "_groups", "_opener", "_results", "read_only", "settings")

    def __init__(self, opener: Opener, groups: dict[str, OpenGroup]) -> None:
        self._opener = opener
        self._directory = opener.directory
        self._groups = groups
        self._results = opener.results
        self._changing = trio.Lock()
        self.settings = opener.settings
        self.read_only = opener.read_only

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        groups: Sequence[Group],
        *,
        settings: StoreSettings | None = None,
        map_bytes: int | None = None,
        clock: Callable[[], float] = time.time,
        committer: Literal["thread", "inline"] = "thread",
        read_only: bool = False,
        beside: bool = False,
        discover: bool = False,
        identity: NewIdentity = new_identity,
        environments: Callable[..., Environment] = Environment,
        directories: Callable[..., Directory] = Directory,
    ) -> Store:
        """Open a data directory, or make one.

        Args:
            groups: every group and table that is on disk must be declared, except those that were made at run time.
            settings: knobs; `map_bytes` is a short way to set only that one.
            clock: Unix time in seconds, for tombstones and incarnations; decides nothing.
            committer: "inline" commits inside `deliver_results`, without threads: for simulations.
            read_only: no writes and no new incarnation.
            beside: with `read_only`, also while another process has the store open, for a backup or a look at it.
            discover: open every group and table that is on disk, whoever declared it; of those that aren't in `groups`,
                functions (a merge, an index) are missing: they can be opened with `read_only` only.
            identity: gives random 64-bit incarnation ids; simulations pass their own.
            environments: the boundary to LMDB; tests pass one that fails.
            directories: the boundary to the directory itself; simulations pass both, and touch no file.

        Raises:
            DirectoryInUse, ForeignDirectory, NoStore, OlderFormat, NewerFormat, SchemaChanged, UnknownTable,
            DamagedStore, DiskFull.
        """
        settings = settings or StoreSettings()
        if map_bytes is not None:
            settings = attrs.evolve(settings, map_bytes=map_bytes)
        directory = directories(path, existing=read_only, beside=beside)
        if not settings.warm_bytes:
            there = len(directory.groups | {group.name for group in groups})
            settings = attrs.evolve(settings, warm_bytes=warm_bytes_for(max(1, there)))
        results = Results()
        opener = Opener(
            directory, results, settings, clock, committer, read_only, discover, identity, environments
        )
        try:
            opened = opener.open_all(groups)
        except BaseException:
            results.close()
            directory.close()
            raise
        return cls(opener, opened)

    @property
    def path(self) -> str:
        """The data directory, absolute."""
        return str(self._directory.path)

    @property
    def clock(self) -> Callable[[], float]:
        """As given to `open`."""
        return self._opener.clock

    @property
    def groups(self) -> tuple[OpenGroup, ...]:
        """In the order given to `open`."""
        return tuple(self._groups.values())

    def group(self, name: str) -> OpenGroup:
        """The handle of a group. Raises UnknownTable."""
        try:
            return self._groups[name]
        except KeyError:
            raise UnknownTable(f"the store has no group {name!r}") from None

    @property
    def added(self) -> frozenset[str]:
        """The groups that were made at run time."""
        return self._directory.marker.added

    # ---- groups at run time -------------------------------------------------------------------------

    async def add_group(self, group: Group) -> OpenGroup:
        """Make a group beside the others; from now on every open opens it. Its tables are declared as plain data.

        Raises:
            TableExists, NotDeclarable, DiskFull: there is no such group then.
        """
        if self._opener.committer == "inline":
            return self.add_group_now(group)
        async with self._changing:
            self._refuse_group(group)
            # Cancelled, it is finished all the same: half of it would be in the marker.
            state = await trio.to_thread.run_sync(self._opener.make, group)
            return self._adopt(state)

    def add_group_now(self, group: Group) -> OpenGroup:
        """`add_group`, on this thread, which waits for the disk."""
        assert not self._changing.locked(), "another group is being made or dropped"
        self._refuse_group(group)
        return self._adopt(self._opener.make(group))

    async def drop_group(self, name: str, confirm: str) -> None:
        """Drop a group with all of its tables, for good. What was submitted before is committed, and called back.

        Args:
            confirm: the name once more.

        Raises:
            UnknownTable, NotConfirmed; GroupInUse: something reads it; it takes no writes any more, drop it again.
        """
        if self._opener.committer == "inline":
            self.drop_group_now(name, confirm)
            return
        async with self._changing:
            refuse_unconfirmed(name, confirm)
            group = self.group(name)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(group.stop)
                self._forget(group)
                await trio.to_thread.run_sync(self._opener.drop, name)

    def drop_group_now(self, name: str, confirm: str) -> None:
        """`drop_group`, on this thread, which waits for the disk."""
        assert not self._changing.locked(), "another group is being made or dropped"
        refuse_unconfirmed(name, confirm)
        group = self.group(name)
        group.stop()
        self._forget(group)
        self._opener.drop(name)

    def _refuse_group(self, group: Group) -> None:
        if self.read_only:
            raise TableReadOnly(f"{self.path} is open read-only")
        self._opener.refuse(group)
        for table in group.tables:
            schema_row(table)

    def _adopt(self, state: GroupState) -> OpenGroup:
        group = self._opener.handle(state)
        self._groups = {**self._groups, group.name: group}
        return group

    def _forget(self, group: OpenGroup) -> None:
        if group.state.environment.in_use():
            raise GroupInUse(f"group {group.name!r} is being read")
        group.close()
        self._groups = {name: other for name, other in self._groups.items() if other is not group}

    @property
    def eventfd(self) -> int:
        """Readable when results wait for `deliver_results`."""
        return self._results.eventfd

    def deliver_results(self, *, commit: bool = True) -> int:
        """Call back everything that is done, on this thread; gives how many calls were made. Never blocks.

        With an inline committer it first commits what was submitted (and blocks for that), unless the caller wants
        to do so with `group.step_inline`, at a time of its own for each group.

        Raises:
            StoreFatal: after all results were delivered: the process must end.
        """
        for group in self._groups.values():
            if group.floor is not None:
                group.floor.grant()
            elif commit:
                group.step_inline()
        done = self._results.deliver()
        for group in self._groups.values():
            if group.state.fatal is not None and not len(self._results):
                raise group.state.fatal
        return done

    async def run(self) -> None:
        """Deliver results whenever there are some, until cancelled: for programs without a hub.

        Raises StoreFatal.
        """
        while True:
            await self.step()

    async def step(self) -> None:
        """Wait for results and deliver them once."""
        await trio.lowlevel.wait_readable(self._results.eventfd)
        self.deliver_results()

    @property
    def fatal(self) -> StoreFatal | None:
        """Why no group of the store writes any more, or None."""
        return next((group.state.fatal for group in self._groups.values() if group.state.fatal), None)

    def statistics(self) -> dict[str, Any]:
        """Numbers for the operator; cheap."""
        return {
            "results_waiting": len(self._results),
            "results_delivered": self._results.delivered,
            "groups": {name: group.statistics() for name, group in self._groups.items()},
        }

    def info(self) -> dict[str, Any]:
        """What the store is."""
        return {
            "path": self.path,
            "format": FORMAT,
            "read_only": self.read_only,
            "groups": {name: group.info() for name, group in self._groups.items()},
        }

    def close(self) -> None:
        """Commit and call back what is queued, end the threads, give the directory free. Blocks for the disk."""
        for group in self._groups.values():
            group.close()
        try:
            while len(self._results):
                self._results.deliver()
        finally:
            self._results.close()
            self._directory.close()

    def abandon(self) -> None:
        """Give back what the process holds, committing and delivering nothing: a crash. Inline committer only."""
        for group in self._groups.values():
            group.abandon()
        self._results.close()
        self._directory.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
