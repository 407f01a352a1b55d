"""One file between its last sync and now: what is durable, and the changes that aren't.

It must never know the file's name: names are made durable apart from contents (`names`).
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Iterable
from pathlib import Path

from attrs import define, field, frozen


@frozen
class Written:
    """`data` written at `offset`. `order` is the place among all changes of the run."""

    order: int
    offset: int
    data: bytes = field(repr=False)

    @property
    def end(self) -> int:
        return self.offset + len(self.data)


@frozen
class Sized:
    """The size set to `size`; `grow_only` when it may only have grown (fallocate)."""

    order: int
    size: int
    grow_only: bool


Change = Written | Sized
SECTOR = 512


@define(eq=False)
class FileState:
    """The durable content is in a file at `content`; `pending` changes are in the page cache alone."""

    content: Path
    pending: list[Change] = field(factory=list)
    in_flight: list[Change] = field(factory=list)  # begun, and the process was killed in the middle
    lost: list[Change] = field(factory=list)  # a sync failed: the kernel has forgotten that they are dirty
    settled_bytes: int = 0

    def change(self, change: Change) -> None:
        self.pending.append(change)

    def sync(self, before: int) -> None:
        """Changes with an order below `before` are durable."""
        self._settle([change for change in self.pending if change.order < before])
        self.pending = [change for change in self.pending if change.order >= before]

    def lose_sync(self) -> None:
        """A sync failed: what was pending is neither durable nor ever written by a later sync."""
        self.lost += self.pending
        self.pending = []

    def write_through(self, written: Written) -> None:
        """A write by O_DSYNC: durable with the sectors that it touches, and no other byte.

        A pending change of size is settled with all before it: the data can't be found otherwise.
        """
        last_size = max((i for i, c in enumerate(self.pending) if isinstance(c, Sized)), default=-1)
        self._settle(self.pending[: last_size + 1])
        first = written.offset - written.offset % SECTOR
        end = -(-written.end // SECTOR) * SECTOR
        rest: list[Change] = []
        for change in self.pending[last_size + 1 :]:
            assert isinstance(change, Written)
            inside, outside = split(change, first, end)
            self._settle(inside)
            rest += outside
        self.pending = rest
        self._settle([written])

    def settle_all(self) -> None:
        """As if nothing were ever lost: the page cache's view."""
        self._settle(sorted([*self.lost, *self.pending], key=lambda change: change.order))
        self.pending, self.lost = [], []

    def settle_torn(self, rng: random.Random, keep: float, sector: int) -> None:
        """Each sector at a random moment of its history since the last sync: writes reach a disk in any order.

        A sector that missed one change misses all later ones; a change of size likewise.
        """
        stopped: set[int] = set()
        size_stopped = False
        for change in [*self.pending, *self.in_flight]:
            if isinstance(change, Sized):
                size_stopped = size_stopped or rng.random() >= keep
                if not size_stopped:
                    self._settle([change])
                continue
            for number in range(change.offset // sector, -(-change.end // sector)):
                if number not in stopped and rng.random() >= keep:
                    stopped.add(number)
                if number not in stopped:
                    self._settle(split(change, number * sector, (number + 1) * sector)[0])
        self.pending = []

    def unsynced_bytes(self) -> int:
        return sum(len(change.data) for change in self.pending if isinstance(change, Written))

    def _settle(self, changes: Iterable[Change]) -> None:
        fd = os.open(self.content, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            for change in changes:
                if isinstance(change, Sized):
                    if not change.grow_only or os.fstat(fd).st_size < change.size:
                        os.ftruncate(fd, change.size)
                else:
                    assert os.pwrite(fd, change.data, change.offset) == len(change.data)
                    self.settled_bytes += len(change.data)
        finally:
            os.close(fd)


def split(change: Written, first: int, end: int) -> tuple[list[Written], list[Written]]:
    """The parts of a write inside first..end (exclusive), and those outside."""
    inside: list[Written] = []
    outside: list[Written] = []
    cuts = sorted({change.offset, change.end, *(c for c in (first, end) if change.offset < c < change.end)})
    for low, high in itertools.pairwise(cuts):
        part = Written(change.order, low, change.data[low - change.offset : high - change.offset])
        (inside if first <= low < end else outside).append(part)
    return inside, outside
