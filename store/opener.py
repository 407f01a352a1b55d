"""Opening groups in a directory, when the store is opened and while it is; and dropping them.

Args and errors are those of `Store.open`. What may wait for the disk is apart from what belongs to the loop, so that a
store with threads can do the first in another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import attrs

from store.directory import Directory
from store.environment import Environment
from store.errors import NotConfirmed, TableExists
from store.group import OpenGroup
from store.groupstate import GroupState
from store.limits import StoreSettings
from store.opening import NewIdentity, open_group
from store.results import Results
from store.schema import Group


@attrs.frozen(slots=True)
class Opener:
    """How the groups of one store are opened."""

    directory: Directory
    results: Results
    settings: StoreSettings
    clock: Callable[[], float]
    committer: Literal["thread", "inline"]
    read_only: bool
    discover: bool
    identity: NewIdentity
    environments: Callable[..., Environment]

    def every(self, declared: Sequence[Group]) -> list[Group]:
        """The groups that are declared, those that were made at run time, and, if asked for, all that are there."""
        names = {group.name for group in declared}
        assert len(names) == len(declared), "a group is declared twice"
        marker = self.directory.marker
        there = marker.groups if self.discover else marker.added
        return [*declared, *(Group(name, ()) for name in sorted(there - names))]

    def open_all(self, declared: Sequence[Group]) -> dict[str, OpenGroup]:
        """Open or make them, in the order given, and mark those that are new."""
        directory = self.directory
        if not self.read_only:
            directory.clear()
        groups = self.every(declared)
        opened: dict[str, OpenGroup] = {}
        try:
            for group in directory.those_there_first(groups):
                written = any(one.sequence for one in opened.values())
                directory.refuse_missing(group.name, beside=written)
                opened[group.name] = self.handle(self.open(group))
            if any(one.sequence for one in opened.values()):
                directory.refuse_unnamed(opened)
            if not self.read_only:
                directory.mark(opened)
        except BaseException:
            for one in opened.values():
                one.close()
            raise
        return {group.name: opened[group.name] for group in groups}

    def open(self, group: Group, *, made: bool = False) -> GroupState:
        """Open or make one. Waits for the disk."""
        return open_group(
            self.directory.path / group.name,
            group,
            self.settings,
            self.clock,
            read_only=self.read_only,
            discover=self.discover,
            made=made,
            identity=self.identity,
            environments=self.environments,
        )

    def handle(self, state: GroupState) -> OpenGroup:
        """On the loop's thread."""
        return OpenGroup(state, self.results, self.committer)

    # ---- at run time --------------------------------------------------------------------------------

    def refuse(self, group: Group) -> None:
        """Raise TableExists if a group of that name is there."""
        if group.name in self.directory.groups:
            raise TableExists(f"the store has a group {group.name!r}")

    def make(self, group: Group) -> GroupState:
        """Make a group beside the others. Waits for the disk.

        A crash leaves it there, empty, or takes it away at the next open.
        """
        self.directory.clear()  # what an earlier attempt left that failed
        self.directory.begin(group.name)
        try:
            state = self.open(group, made=True)
        except BaseException:
            self.directory.clear()
            raise
        try:
            self.directory.finish(group.name)
        except BaseException:
            state.environment.close()
            raise
        return state

    def drop(self, name: str) -> None:
        """Take a group away that nobody has open any more. Waits for the disk.

        It is gone once that is in the marker; what a crash leaves of its files goes at the next open.
        """
        self.directory.condemn(name)
        self.directory.clear()


def refuse_unconfirmed(name: str, confirm: str) -> None:
    """Raises NotConfirmed."""
    if confirm != name:
        raise NotConfirmed(
            f"dropping group {name!r} deletes all of its tables, and {confirm!r} was confirmed"
        )
