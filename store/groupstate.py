"""The running state of one open group, apart from the logic that works on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from store.batch import Batch
from store.environment import Environment
from store.errors import StoreFatal
from store.incarnation import History
from store.limits import StoreSettings
from store.state import TableState
from store.work import Epochs, Places


class Counters:
    """What a group has done since it was opened."""

    __slots__ = ("busy", "commit_seconds", "commit_seconds_max", "commits", "rows", "submits")

    def __init__(self) -> None:
        self.commits = 0
        self.submits = 0
        self.rows = 0
        self.busy = 0
        self.commit_seconds = 0.0
        self.commit_seconds_max = 0.0

    def commit(self, submits: int, what: list[Any], seconds: float) -> None:
        """Count one batch."""
        self.commits += 1
        self.submits += submits
        self.rows += sum(len(one.rows) for one in what)
        self.commit_seconds += seconds
        self.commit_seconds_max = max(self.commit_seconds_max, seconds)


class GroupState:
    """One open group."""

    __slots__ = (
        "by_id",
        "clock",
        "counters",
        "environment",
        "epochs",
        "fatal",
        "history",
        "name",
        "places",
        "sequence",
        "settings",
        "tables",
        "used_bytes",
    )

    def __init__(
        self,
        name: str,
        environment: Environment,
        places: Places,
        tables: list[TableState],
        history: History,
        sequence: int,
        settings: StoreSettings,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.environment = environment
        self.places = places
        self.by_id = tables
        self.tables = {table.name: table for table in tables}
        self.history = history
        self.sequence = sequence
        self.settings = settings
        self.clock = clock
        self.epochs: Epochs = _no_epoch
        self.fatal: StoreFatal | None = None
        self.counters = Counters()
        self.used_bytes = 0
        self.measure()

    def measure(self) -> None:
        """Look again how many bytes are in use, and whether readers have died."""
        self.environment.forget_dead_readers()
        places = [self.places.meta, self.places.changes]
        for table in self.by_id:
            if not table.ram:
                places += [table.place, *table.indexed_places]
                places += [table.tombstone_place] if table.tombstones else []
        self.used_bytes = self.environment.used_bytes(places)

    @property
    def warm(self) -> bool:
        """Whether the group is small enough to be taken to be in memory."""
        return self.used_bytes <= self.settings.warm_bytes

    def batch(self) -> Batch:
        """A new batch of writes after the last committed one."""
        return Batch(
            self.environment,
            self.places,
            sequence=self.sequence,
            incarnation=self.history.current.id,
            epochs=self.epochs,
            now_ms=int(self.clock() * 1000),
        )


def _no_epoch(_: int | None) -> int:
    return 0
