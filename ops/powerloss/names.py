"""Directories between their last sync and now: which names are durable, and which changes of names aren't.

The strict model, which is what POSIX promises and no more: a name is durable when the directory that holds it
was synced after the change; a rename between two directories, when both were. (ext4 and XFS make the name of a
new file durable with the file's own fsync. A program that relies on it fails here, as it may elsewhere.)
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from attrs import define, field

from ops.powerloss.files import FileState


@define(eq=False)
class Directory:
    """The names that the process sees, and those that were in the directory at the start of the run."""

    names: dict[str, Directory | FileState] = field(factory=dict)
    at_start: dict[str, Directory | FileState] = field(factory=dict)


Entry = Directory | FileState


@define(eq=False)
class NameChange:
    """One change, whole or not at all: names taken away, then names given. Durable when nobody is waited for."""

    order: int
    taken: list[tuple[Directory, str]]
    given: list[tuple[Directory, str, Entry]]
    waits_for: list[Directory]


@define(eq=False)
class Names:
    """The tree under the watched directory."""

    root: Directory
    changes: list[NameChange] = field(factory=list)

    def find(self, path: str) -> Entry | None:
        """The entry at a path relative to the root ("" is the root itself), as the process sees it."""
        entry: Any = self.root
        for name in path.split("/") if path else ():
            entry = entry.names.get(name) if isinstance(entry, Directory) else None
        return entry  # type: ignore[no-any-return]

    def place(self, path: str) -> tuple[Directory, str]:
        """The directory that holds a path, and the name in it."""
        parent, _, name = path.rpartition("/")
        directory = self.find(parent)
        assert isinstance(directory, Directory), f"{path}: its directory was never seen"
        return directory, name

    def give(self, order: int, path: str, entry: Entry) -> None:
        directory, name = self.place(path)
        directory.names[name] = entry
        self.changes.append(NameChange(order, [], [(directory, name, entry)], [directory]))

    def take(self, order: int, path: str) -> None:
        directory, name = self.place(path)
        directory.names.pop(name, None)
        self.changes.append(NameChange(order, [(directory, name)], [], [directory]))

    def rename(self, order: int, source: str, target: str) -> None:
        old, old_name = self.place(source)
        new, new_name = self.place(target)
        entry = old.names.pop(old_name)
        new.names[new_name] = entry
        waits = [old] if old is new else [old, new]
        self.changes.append(NameChange(order, [(old, old_name)], [(new, new_name, entry)], waits))

    def sync(self, directory: Directory, before: int) -> None:
        for change in self.changes:
            if change.order < before and directory in change.waits_for:
                change.waits_for.remove(directory)

    def durable(self, rng: random.Random | None = None) -> dict[str, Entry]:
        """path → entry, of what a disk would hold: synced changes, and with `rng` a prefix of the others.

        A prefix, because file systems journal changes of names in order.
        """
        unsynced = [change for change in self.changes if change.waits_for]
        lucky = set(map(id, unsynced[: rng.randint(0, len(unsynced))])) if rng else set()
        names: dict[int, dict[str, Entry]] = {}

        def of(directory: Directory) -> dict[str, Entry]:
            return names.setdefault(id(directory), dict(directory.at_start))

        for change in self.changes:
            if change.waits_for and id(change) not in lucky:
                continue
            for directory, name in change.taken:
                of(directory).pop(name, None)
            for directory, name, entry in change.given:
                of(directory)[name] = entry

        def walk(directory: Directory, prefix: str) -> Iterator[tuple[str, Entry]]:
            for name, entry in of(directory).items():
                yield prefix + name, entry
                if isinstance(entry, Directory):
                    yield from walk(entry, f"{prefix}{name}/")

        return dict(walk(self.root, ""))

    def seen(self) -> dict[str, Entry]:
        """path → entry, as the process sees them."""

        def walk(directory: Directory, prefix: str) -> Iterator[tuple[str, Entry]]:
            for name, entry in directory.names.items():
                yield prefix + name, entry
                if isinstance(entry, Directory):
                    yield from walk(entry, f"{prefix}{name}/")

        return dict(walk(self.root, ""))
