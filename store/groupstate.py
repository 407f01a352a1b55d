"""The running state of one open group, apart from the logic that works on it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from store.batch import Batch
from store.catalog import Catalog
from store.environment import Environment
from store.errors import StoreFatal
from store.incarnation import History
from store.limits import StoreSettings
from store.schema import Reconcile
from store.spacing import Spacing
from store.state import TablesById, TableState
from store.tapping import Tap, Tape
from store.work import Epochs, Places

BUCKETS: Final = 32
"""Of a histogram by powers of two: bucket i counts what is less than 2**i and not in the one before; the last, the
rest."""


class Counters:
    """What a group has done since it was opened. sizes: commits by their rows; times: by their microseconds."""

    __slots__ = (
        "busy",
        "commit_seconds",
        "commit_seconds_max",
        "commits",
        "rows",
        "rows_max",
        "sizes",
        "submits",
        "times",
    )

    def __init__(self) -> None:
        self.commits = 0
        self.submits = 0
        self.rows = 0
        self.busy = 0
        self.commit_seconds = 0.0
        self.commit_seconds_max = 0.0
        self.rows_max = 0
        self.sizes = [0] * BUCKETS
        self.times = [0] * BUCKETS

    def commit(self, submits: int, what: list[Any], seconds: float) -> None:
        """Count one batch."""
        self.commits += 1
        self.submits += submits
        rows = sum(one.count for one in what)
        self.rows += rows
        self.rows_max = max(self.rows_max, rows)
        self.sizes[min(rows.bit_length(), BUCKETS - 1)] += 1
        self.times[min(int(seconds * 1e6).bit_length(), BUCKETS - 1)] += 1
        self.commit_seconds += seconds
        self.commit_seconds_max = max(self.commit_seconds_max, seconds)


class GroupState:
    """One open group."""

    __slots__ = (
        "by_id",
        "catalog",
        "clock",
        "coded",
        "counters",
        "environment",
        "epochs",
        "fading",
        "fatal",
        "generation",
        "given",
        "history",
        "moving",
        "name",
        "places",
        "reconcile",
        "seen",
        "sequence",
        "settings",
        "tables",
        "tap",
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
        reconcile: Reconcile | None = None,
        catalog: Catalog | None = None,
    ) -> None:
        self.name = name
        self.environment = environment
        self.places = places
        self.generation = 0
        """Goes up with every alteration: what was encoded before it is looked at again before it is applied."""
        self.given: set[int] = set()
        """Ids that tables have or had since the group was opened."""
        self.fading: frozenset[int] = frozenset()
        """Ids of tables whose entries in the list of changes in memory are still being cleared away."""
        self.coded: frozenset[str] = frozenset()
        """Tables that the code declares."""
        self.seen: dict[bytes, bytes | None] | None = None
        """Of a group that is open read-only: what `meta` said of its schema. Another process may alter it."""
        self.moving: dict[int, Any] = {}
        """Tables that move between memory and disc, by id."""
        self.catalog = Catalog() if catalog is None else catalog
        self.adopt(tables)
        self.history = history
        self.sequence = sequence
        self.settings = settings
        self.clock = clock
        self.reconcile = reconcile
        self.epochs: Epochs = _no_epoch
        self.tap: Tap | None = None
        self.fatal: StoreFatal | None = None
        self.counters = Counters()
        self.used_bytes = 0
        places.stale.load(environment)
        self.measure()
        if settings.spare_bytes and not environment.read_only:
            places.spacing = Spacing(
                environment, places.meta, lambda: self.used_bytes, settings.spare_bytes, settings.map_bytes
            )

    def adopt(self, tables: Iterable[TableState]) -> None:
        """These are the tables from now on. On the committer's thread, between two commits.

        Both mappings are replaced, never changed: a reader on another thread keeps those that it has.
        """
        unsettled = bool(self.catalog.residues or self.places.mirrors or self.fading)
        self.by_id = TablesById(tables, unsettled=unsettled)
        self.tables = {table.name: table for table in self.by_id}
        self.given |= {table.id for table in self.by_id}
        self.generation += 1
        for table in self.by_id:
            table.lineage.now = table

    def replace(self, table: TableState) -> None:
        """`adopt`, with another state of one table, or with one more table."""
        self.adopt([*(other for other in self.by_id if other.id != table.id), table])

    def measure(self) -> None:
        """Look again how many bytes are in use, and whether readers have died."""
        self.environment.forget_dead_readers()
        places = [self.places.meta, self.places.changes]
        places += [self.places.stale.log] if self.places.stale.log is not None else []
        for table in self.by_id:
            if not table.ram:
                places += [table.place, *table.indexed_places]
                places += [table.tombstone_place] if table.tombstones else []
        self.used_bytes = self.environment.used_bytes(places)

    @property
    def warm(self) -> bool:
        """Whether the group is small enough to be taken to be in memory."""
        return self.used_bytes <= self.settings.warm_bytes

    @property
    def made(self) -> frozenset[str]:
        """Tables that the code needn't declare."""
        return frozenset(name for name, entry in self.catalog.entries.items() if entry.made)

    def batch(self) -> Batch:
        """A new batch of writes after the last committed one."""
        return Batch(
            self.environment,
            self.places,
            sequence=self.sequence,
            incarnation=self.history.current.id,
            epochs=self.epochs,
            now_ms=int(self.clock() * 1000),
            tape=None if self.tap is None else Tape(self.places.number_of),
        )


def _no_epoch(_: int | None) -> int:
    return 0
