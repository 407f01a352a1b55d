"""The journal played over the directory as it was at the start: what a disk holds when the power fails.

Three losses: NOTHING (the page cache's view: used to prove that the journal is complete), UNSYNCED (everything
that was not made durable is gone) and TORN (of that, each sector is at a random moment of its history). It must
never touch the watched directory: it writes images elsewhere.
"""

from __future__ import annotations

import enum
import os
import random
import shutil
from pathlib import Path

from attrs import define, field, frozen

from ops.powerloss import journal as j
from ops.powerloss.files import Change, FileState, Sized, Written
from ops.powerloss.names import Directory, Entry, Names


class Loss(enum.Enum):
    """What the power failure takes away."""

    NOTHING = "nothing"
    UNSYNCED = "unsynced"
    TORN = "torn"


@frozen
class Cut:
    """How the power failed. For TORN: `keep` is the chance that a sector takes one more change."""

    loss: Loss = Loss.UNSYNCED
    seed: int = 0
    keep: float = 0.5
    sector: int = 512
    until_ns: int | None = None  # a moment before the end of the journal, by CLOCK_MONOTONIC


@define
class Account:
    """What the image lacks, for the test's own log."""

    records: int = 0
    syncs: int = 0
    dropped_bytes: int = 0
    dropped_names: int = 0
    in_flight: dict[str, list[Change]] = field(factory=dict)  # path → changes that may be half done
    lost_bytes: int = 0  # by a sync that failed


class Player:
    """Plays records, one at a time, onto a tree of durable contents kept in `scratch`."""

    def __init__(self, root: Path, base: Path, scratch: Path) -> None:
        self._root = str(root)
        self._scratch = scratch
        self._made = 0
        self._clock = 0  # one order over all processes
        self._open: dict[tuple[Path, int], Entry] = {}
        self._begun: dict[tuple[Path, int], tuple[int, j.Record]] = {}
        self.names = Names(self._load(base))
        self.account = Account()

    def _load(self, folder: Path) -> Directory:
        directory = Directory()
        for each in sorted(folder.iterdir()):
            entry: Entry
            if each.is_dir():
                entry = self._load(each)
            else:
                entry = self._file()
                shutil.copyfile(each, entry.content)
            directory.names[each.name] = directory.at_start[each.name] = entry
        return directory

    def _file(self) -> FileState:
        self._made += 1
        return FileState(self._scratch / f"{self._made}")

    def _relative(self, path: str) -> str:
        return path[len(self._root) + 1 :]

    # ---- records -----------------------------------------------------------------------------------------

    def play(self, record: j.Record) -> None:
        """One record. A change counts from its DONE on, at the place in the order where it began."""
        self._clock += 1
        self.account.records += 1
        if record.kind == j.DONE:
            begun = self._begun.pop((record.journal, record.a))
            if record.b >= 0:
                self._complete(*begun, record)
        elif record.kind == j.SYNC and record.flags & j.SYNC_LOST:
            entry = self._entry(record)
            if isinstance(entry, FileState):
                self.account.lost_bytes += entry.unsynced_bytes()
                entry.lose_sync()
        else:
            self._begun[record.journal, record.order] = (self._clock, record)

    def _entry(self, record: j.Record) -> Entry:
        return self._open[record.journal, record.file]

    def _complete(self, order: int, record: j.Record, done: j.Record) -> None:
        kind = record.kind
        if kind == j.WRITE:
            file = self._entry(record)
            assert isinstance(file, FileState)
            written = Written(order, record.a, record.data[: done.b])
            if record.flags & j.SYNCED:
                self.account.syncs += 1
                file.write_through(written)
            else:
                file.change(written)
        elif kind == j.SYNC:
            self.account.syncs += 1
            entry = self._entry(record)
            if isinstance(entry, Directory):
                self.names.sync(entry, order)
            else:
                entry.sync(order)
        elif kind == j.OPEN:
            self._opened(order, record, done.file)
        elif kind in (j.TRUNCATE, j.ALLOCATE):
            file = self._entry(record)
            assert isinstance(file, FileState)
            file.change(Sized(order, record.a + record.b, grow_only=kind == j.ALLOCATE))
        elif kind == j.MKDIR:
            self.names.give(order, self._relative(record.path), Directory())
        elif kind in (j.UNLINK, j.RMDIR):
            self.names.take(order, self._relative(record.path))
        elif kind == j.RENAME:
            source, target = record.path.split("\0")
            self.names.rename(order, self._relative(source), self._relative(target))
        else:
            raise j.JournalError(f"unknown kind of record {kind}")

    def _opened(self, order: int, record: j.Record, number: int) -> None:
        path = self._relative(record.path)
        entry = self.names.find(path)
        if entry is None:
            if not record.a & os.O_CREAT:
                raise j.JournalError(f"{path} was made by a way that the shim doesn't see")
            entry = self._file()
            entry.content.touch()
            self.names.give(order, path, entry)
        elif record.a & os.O_TRUNC and isinstance(entry, FileState):
            entry.change(Sized(order, 0, grow_only=False))
        self._open[record.journal, number] = entry

    # ---- the end -----------------------------------------------------------------------------------------

    def finish(self) -> None:
        """The records are at their end: what had begun is in flight."""
        for order, record in self._begun.values():
            if record.kind in (j.WRITE, j.TRUNCATE, j.ALLOCATE):
                file = self._entry(record)
                assert isinstance(file, FileState)
                change: Change = (
                    Written(order, record.a, record.data)
                    if record.kind == j.WRITE
                    else Sized(order, record.a + record.b, grow_only=record.kind == j.ALLOCATE)
                )
                file.in_flight.append(change)
            elif record.kind != j.SYNC:
                paths = record.path.split("\0")
                self.account.in_flight.update((self._relative(path), []) for path in paths)
        for path, entry in self.names.seen().items():
            if isinstance(entry, FileState) and entry.in_flight:
                self.account.in_flight[path] = entry.in_flight

    def write(self, cut: Cut, target: Path, modes: Path) -> None:
        """Lose what is to be lost, and write the tree to `target`; permissions as in the directory `modes`."""
        rng = random.Random(f"{cut.seed}")
        if cut.loss is Loss.NOTHING:
            tree = self.names.seen()
        else:
            tree = self.names.durable(rng if cut.loss is Loss.TORN else None)
        self.account.dropped_names = sum(1 for change in self.names.changes if change.waits_for)
        target.mkdir(mode=0o700)
        for path, entry in tree.items():
            place = target / path
            if isinstance(entry, Directory):
                place.mkdir(mode=0o700)
            else:
                self.account.dropped_bytes += entry.unsynced_bytes()
                if cut.loss is Loss.NOTHING:
                    entry.settle_all()
                elif cut.loss is Loss.TORN:
                    entry.settle_torn(rng, cut.keep, cut.sector)
                shutil.copyfile(entry.content, place)
            if (modes / path).exists():
                place.chmod((modes / path).stat().st_mode & 0o7777)


def rebuild(root: Path, base: Path, journals: Path, cut: Cut, target: Path, scratch: Path) -> Account:
    """Write to `target` what a disk would hold of `root`, which was `base` when the journals began.

    Raises:
        JournalError: the journal can't be trusted.
    """
    scratch.mkdir(parents=True)
    try:
        player = Player(root, base, scratch)
        for record in j.read_journals(journals, cut.until_ns):
            player.play(record)
        player.finish()
        player.write(cut, target, root)
        return player.account
    finally:
        shutil.rmtree(scratch)
