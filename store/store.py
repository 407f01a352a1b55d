"""The store: one data directory, its groups, and the way results come back to the loop."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Literal

import attrs
import trio

from store.directory import Directory
from store.environment import Environment
from store.errors import StoreFatal, UnknownTable
from store.group import OpenGroup
from store.limits import FORMAT, StoreSettings
from store.memory import warm_bytes_for
from store.opening import NewIdentity, new_identity, open_group
from store.results import Results
from store.schema import Group


class Store:
    """An open store. Made by `Store.open`; close it, or use it as a context manager."""

    __slots__ = ("_directory", "_groups", "_results", "read_only", "settings")

    def __init__(
        self,
        directory: Directory,
        groups: dict[str, OpenGroup],
        results: Results,
        settings: StoreSettings,
        *,
        read_only: bool,
    ) -> None:
        self._directory = directory
        self._groups = groups
        self._results = results
        self.settings = settings
        self.read_only = read_only

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
        identity: NewIdentity = new_identity,
        environments: Callable[..., Environment] = Environment,
        directories: Callable[..., Directory] = Directory,
    ) -> Store:
        """Open a data directory, or make one.

        Args:
            groups: every group and table that is on disk must be declared.
            settings: knobs; `map_bytes` is a short way to set only that one.
            clock: Unix time in seconds, for tombstones and incarnations; decides nothing.
            committer: "inline" commits inside `deliver_results`, without threads: for simulations.
            read_only: no writes and no new incarnation.
            beside: with `read_only`, also while another process has the store open, for a backup or a look at it.
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
        if not settings.warm_bytes:
            settings = attrs.evolve(settings, warm_bytes=warm_bytes_for(len(groups)))
        directory = directories(path, existing=read_only, beside=beside)
        results = Results()
        opened: dict[str, OpenGroup] = {}
        try:
            for group in directory.those_there_first(groups):
                assert group.name not in opened, f"group {group.name!r} is declared twice"
                directory.refuse_missing(group.name, beside=any(one.sequence for one in opened.values()))
                state = open_group(
                    directory.path / group.name,
                    group,
                    settings,
                    clock,
                    read_only=read_only,
                    identity=identity,
                    environments=environments,
                )
                opened[group.name] = OpenGroup(state, results, committer)
            opened = {group.name: opened[group.name] for group in groups}
            if not read_only:
                directory.mark(opened)
        except BaseException:
            for one in opened.values():
                one.close()
            results.close()
            directory.close()
            raise
        return cls(directory, opened, results, settings, read_only=read_only)

    @property
    def path(self) -> str:
        """The data directory, absolute."""
        return str(self._directory.path)

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
