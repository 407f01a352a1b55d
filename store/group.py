"""The handle of one group: its tables, its queue, reading.

`submit` and everything that calls back belong to the loop's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal

import cbor2

from store.alterable import Alterable
from store.alterations import Alterations
from store.altering import resume
from store.changes import Change
from store.cold import ReaderThread, perform
from store.committer import Committer, CommitterThread
from store.errors import StoreBusy, StoreClosed, TableReadOnly, UnknownTable
from store.floor import Floor
from store.groupstate import GroupState
from store.incarnation import History
from store.limits import SCAN_LIMIT
from store.reading import logical_key
from store.results import Result, Results
from store.schema import Group
from store.snapshot import Snapshot
from store.submit import Submit
from store.submitting import Submitting
from store.subscribe import Changed, Deleted
from store.table import OpenTable
from store.tapping import Tap
from store.waiting import wait_result
from store.work import Epochs, Event


class OpenGroup(Submitting, Alterable):
    """A group of an open store."""

    __slots__ = (
        "_alterations",
        "_closed",
        "_committer",
        "_ended",
        "_inline",
        "_queued_bytes",
        "_queued_rows",
        "_reader",
        "_reads",
        "_reads_done",
        "_results",
        "_tables",
        "_thread",
        "floor",
        "state",
    )

    def __init__(self, state: GroupState, results: Results, committer: Literal["thread", "inline"]) -> None:
        self.state = state
        self._results = results
        self._tables: dict[str, OpenTable] = {}
        self.floor = Floor() if committer == "thread" else None
        self._committer = Committer(state, results, self._settled, self._publish, self.floor)
        self._inline: deque[Submit] | None = deque() if committer == "inline" else None
        self._reader: ReaderThread | None = None
        self._thread: CommitterThread | None = None
        if committer == "thread":
            self._reader = ReaderThread(results)
            if not state.environment.read_only:
                self._thread = CommitterThread(self._committer, state)
        self._queued_rows = 0
        self._queued_bytes = 0
        self._reads = 0
        self._reads_done = 0
        self._closed = self._ended = False
        self._alterations = Alterations(self._queue)
        if not state.environment.read_only:
            self._alterations.begin(resume(state))

    # ---- tables and positions -----------------------------------------------------------------------

    @property
    def name(self) -> str:
        """As declared."""
        return self.state.name

    @property
    def tables(self) -> tuple[OpenTable, ...]:
        """In the order of their ids."""
        return tuple(self.table(table.name) for table in self.state.by_id)

    @property
    def declaration(self) -> Group:
        """What the group is, as `Store.open` takes it."""
        return Group(self.name, tuple(table.declaration for table in self.state.by_id), self.state.reconcile)

    def table(self, name: str) -> OpenTable:
        """The handle of a table. Raises UnknownTable."""
        state = self.state.tables.get(name)
        if state is None:
            raise UnknownTable(f"group {self.name!r} has no table {name!r}")
        handle = self._tables.get(name)
        if handle is None or handle.lineage is not state.lineage:
            handle = self._tables[name] = OpenTable(self.state, state)
        return handle

    @property
    def epochs(self) -> Epochs:
        """partition (None for tables without) → its claim's epoch. Called on the committer's thread, once a batch."""
        return self.state.epochs

    @epochs.setter
    def epochs(self, epochs: Epochs) -> None:
        self.state.epochs = epochs

    @property
    def tap(self) -> Tap | None:
        """Called on the loop once a commit, before the `done`s of its submits, with what it wrote: see `tapping`."""
        return self.state.tap

    @tap.setter
    def tap(self, tap: Tap | None) -> None:
        self.state.tap = tap

    @property
    def history(self) -> History:
        """The incarnations of this directory; the last one writes."""
        return self.state.history

    @property
    def sequence(self) -> int:
        """The last committed sequence."""
        return self.state.sequence

    def position(self, incarnation: int, sequence: int) -> int:
        """What a peer's remembered (incarnation, sequence) is worth here: the sequence, or 0."""
        return self.state.history.position(incarnation, sequence, self.state.sequence)

    # ---- writing ------------------------------------------------------------------------------------

    def _queue(self, submit: Submit, *, always: bool = False) -> None:
        state = self.state
        if self._closed:
            raise StoreClosed(f"group {self.name!r} is closed")
        if state.fatal is not None:
            raise state.fatal
        rows = submit.count
        settings = state.settings
        if (
            self._queued_rows
            and not always
            and (
                self._queued_rows + rows > settings.queue_rows
                or self._queued_bytes + submit.size > settings.queue_bytes
            )
        ):
            state.counters.busy += 1
            raise StoreBusy(
                f"group {self.name!r} has {self._queued_rows} rows and {self._queued_bytes} bytes waiting to commit"
            )
        if self._thread is not None:
            self._thread.put(submit)
        elif self._inline is not None and not state.environment.read_only:
            if not self._inline:
                self._results.wake()
            self._inline.append(submit)
        else:
            raise TableReadOnly(f"group {self.name!r} is open read-only")
        self._queued_rows += rows
        self._queued_bytes += submit.size

    def step_inline(self) -> None:
        """Commit what waits, on this thread, if the committer is inline. Called by `deliver_results`."""
        waiting = self._inline
        if waiting:
            submits = list(waiting)
            waiting.clear()
            self._committer.commit(submits)

    def _settled(self, what: tuple[int, int]) -> None:
        self._queued_rows -= what[0]
        self._queued_bytes -= what[1]
        if self._alterations.stalled:
            self._alterations.retry()

    def _publish(self, events: Iterable[Event]) -> None:
        for table, physical, payload, sequence in events:
            if physical is None:
                for watcher in tuple(table.watchers):
                    watcher.miss(sequence)
                continue
            key = logical_key(table, physical)
            for watcher in tuple(table.watchers):
                # Decoded for each: nobody sees what another subscriber does to a value.
                if payload is None:
                    watcher.push(Deleted(key, sequence))
                else:
                    watcher.push(Changed(key, cbor2.loads(payload), sequence))

    # ---- reading ------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """A context manager for several reads at one moment, on this thread; keep it short."""
        return Snapshot(self.state)

    def changes(self, partition: int | None, after: int = 0, limit: int = SCAN_LIMIT) -> list[Change]:
        """What is live in a partition and was written here after a local sequence, in that order."""
        with self.snapshot() as reader:
            return reader.changes(partition, after, limit)

    def partitions_held(self, limit: int = SCAN_LIMIT) -> list[int | None]:
        """The first partitions of which replicated records or tombstones are here, in order; None, the first of all, is
        that of tables without."""
        with self.snapshot() as reader:
            return reader.partitions_held(limit)

    @property
    def warm(self) -> bool:
        """Whether the group is small enough to be read on the loop."""
        return self._reader is None or self.state.warm

    def read(self, fn: Callable[[Snapshot], Any], done: Callable[[Result], None]) -> None:
        """Call `done` with what `fn(snapshot)` returns or raises.

        Warm: at once, before this returns. Else on the reader thread, and `done` comes from `deliver_results`; `fn`
        must then touch nothing that the loop uses.

        Raises:
            StoreBusy: too many reads wait. StoreClosed.
        """
        if self._closed:
            raise StoreClosed(f"group {self.name!r} is closed")
        if self.warm:
            done(perform(self.snapshot, fn))
            return
        if self._reads >= self.state.settings.read_queue:
            self.state.counters.busy += 1
            raise StoreBusy(f"group {self.name!r} has {self._reads} cold reads waiting")
        self._reads += 1

        def came(result: Result) -> None:
            self._reads -= 1
            self._reads_done += 1
            done(result)

        assert self._reader is not None
        self._reader.put((self.snapshot, fn, came))

    async def fetch(self, fn: Callable[[Snapshot], Any]) -> Any:
        """`read`, awaited: gives what `fn` returns and raises what it raises."""
        result = await wait_result(lambda done: self.read(fn, done))
        return result.value

    # ---- watching and closing -----------------------------------------------------------------------

    @property
    def queue_length(self) -> int:
        """Rows submitted and not yet answered."""
        return self._queued_rows

    def statistics(self) -> dict[str, Any]:
        """Numbers for the operator; cheap."""
        counters = self.state.counters
        return {
            "queue_rows": self._queued_rows,
            "queue_bytes": self._queued_bytes,
            "cold_reads_waiting": self._reads,
            "cold_reads": self._reads_done,
            "commits": counters.commits,
            "submits": counters.submits,
            "rows": counters.rows,
            "busy": counters.busy,
            "commit_seconds": counters.commit_seconds,
            "commit_seconds_max": counters.commit_seconds_max,
            "commit_rows": {
                "buckets": tuple(counters.sizes),
                "most": counters.rows_max,
                "total": counters.rows,
            },
            "commit_time_us": {
                "buckets": tuple(counters.times),
                "most": int(counters.commit_seconds_max * 1e6),
                "total": int(counters.commit_seconds * 1e6),
            },
            "sweeps": self.state.places.spacing.sweeps if self.state.places.spacing else 0,
            "floor_grants": self.floor.grants if self.floor else 0,
            "sequence": self.state.sequence,
            "used_bytes": self.state.used_bytes,
            "warm": self.warm,
            "fatal": str(self.state.fatal) if self.state.fatal else None,
        }

    def info(self) -> dict[str, Any]:
        """What the group is: tables with their rows, incarnation, map."""
        state = self.state
        return {
            "name": self.name,
            "incarnation": state.history.current.id if state.history.lives else 0,
            "sequence": state.sequence,
            "map_bytes": state.settings.map_bytes,
            "used_bytes": state.used_bytes,
            "file_bytes": state.environment.file_bytes(),
            "tables": {
                table.name: {
                    **table.state.describe(),
                    "id": table.id,
                    "rows": table.count(),
                    "made_at_run_time": table.name in state.made - state.coded,
                }
                for table in self.tables
            },
            "clearing": len(state.catalog.residues),
            "alterations": [progress.what for progress in self.alterations()],
        }

    def stop(self) -> None:
        """Commit what is queued, end the threads. Blocks. Results still wait for delivery. Once is enough."""
        if self._closed:
            return
        self._closed = True
        self.step_inline()
        if self._thread is not None:
            self._thread.stop()
        if self._reader is not None:
            self._reader.stop()
        self._let_go()

    def _let_go(self) -> None:
        if self.state.places.spacing is not None:
            self.state.places.spacing.release()

    def close(self) -> None:
        """`stop`, and close the environment. Nobody may be reading."""
        self.stop()
        if not self._ended:
            self._ended = True
            self.state.environment.close()

    def abandon(self) -> None:
        """Forget what is queued and close the environment. Only without threads."""
        assert self._inline is not None, "what a thread has begun can't be abandoned"
        if not self._closed:
            self._closed = self._ended = True
            self._inline.clear()
            self._let_go()
            self.state.environment.close()
