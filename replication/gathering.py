"""Writes of one pass become one submit: what a hundred callers write costs one hand-over, one frame and one ack.

The same for transactions, which are handed over together, and run one after the other.

Each caller hears of its own. Writes of different callers share a submit only if none of them can fail on its own
account: a key or value that can't be stored is found when it is added, and a merge goes alone. What the store or the
heir has no room for stays here, in its order, and is handed over later; GATHERED_ROWS and GATHERED_BYTES bound it.
"""

from collections.abc import Callable, Sequence
from typing import Any

from replication.core.errors import ClaimLost, ReplicationError, WritersWait
from replication.errors import NotServed
from store.encoded import Encoded
from store.errors import MergeUndeclared, StoreBusy, StoreError, UnknownTable
from store.submit import Call
from store.writes import MERGE, Write

HANDED_ROWS = 512
"""Rows that are handed over without waiting for the end of the pass, for committer and heir to begin with."""
GATHERED_ROWS = 100_000
"""Rows that may wait here, of one partition."""
HANDED_BYTES = 4 << 20
GATHERED_BYTES = 32 << 20
"""The same in bytes of keys and values."""
HANDED_CALLS = 256
"""Transactions that are handed over without waiting for the end of the pass."""
GATHERED_CALLS = 10_000
"""Transactions that may wait here, of one partition."""

Done = Callable[[int, Exception | None], None]
Ran = Callable[[int, Exception | None, Any], None]
"""(copies, error, value)"""


class Heap:
    """What waits for the end of the pass, of one partition.

    Args:
        writes: encoded, in order.
        local, settled: whom to tell when they are durable here, or settled.
        casts, cast_bytes: how many of the rows nobody waits for, and their bytes.
    """

    __slots__ = ("cast_bytes", "casts", "local", "settled", "writes")

    def __init__(self, writes: Encoded) -> None:
        self.writes = writes
        self.local: list[Done] = []
        self.settled: list[Done] = []
        self.casts = 0
        self.cast_bytes = 0

    def of_all(self, error: Exception | None) -> Exception | None:
        """What its callers are told. A table that was altered meanwhile is one caller's fault; nothing happened, so
        the others may try again, and so may that one: it will be told then."""
        callers = len(self.local) + len(self.settled) + bool(self.casts)
        if isinstance(error, UnknownTable | MergeUndeclared) and callers > 1:
            return WritersWait("a table of the group was altered meanwhile")
        return error

    def failed(self, error: Exception) -> None:
        """Nothing of it happened."""
        for done in (*self.local, *self.settled):
            done(0, error)


class Calls:
    """Transactions that wait for the end of the pass, of one partition, and whom to tell of each."""

    __slots__ = ("calls", "told")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.told: list[Ran] = []

    def failed(self, error: Exception) -> None:
        """None of them has run."""
        for ran in self.told:
            ran(0, error, None)


Submit = Callable[[int, Heap], None]
Transact = Callable[[int, Sequence[Call], Sequence[Ran]], None]


class Gathering:
    """What waits for the end of the pass, by partition."""

    __slots__ = ("_calls", "_encoded", "_heaps", "_submit", "_transact")

    def __init__(self, submit: Submit, encoded: Callable[[], Encoded], transact: Transact) -> None:
        """submit, transact: raise StoreBusy or WritersWait if a heap or calls must wait; of whatever else they raise
        those who wait are told."""
        self._submit = submit
        self._encoded = encoded
        self._transact = transact
        self._heaps: dict[int, Heap] = {}
        self._calls: dict[int, Calls] = {}

    def __len__(self) -> int:
        return sum(len(heap.writes) for heap in self._heaps.values())

    def add(self, p: int, writes: Sequence[Write], done: Done | None, *, settled: bool = False) -> int:
        """Take in writes of one partition; ``done`` is called when theirs are durable here, or settled. Gives how many
        bytes of keys and values they are.

        Raises:
            WritersWait: too many wait. What `store.group.submit` raises for keys and values. Nothing was taken in.
        """
        heap = self._heaps.get(p)
        if heap is None:
            if p in self._calls:
                self._hand_calls(p)
                if p in self._calls:
                    raise WritersWait(f"transactions that came before wait to be run in partition {p}")
            heap = self._heaps.get(p)  # whoever was called back meanwhile may have written
            if heap is None:
                heap = self._heaps[p] = Heap(self._encoded())
        gathered = heap.writes
        waiting = len(gathered.rows)
        if waiting and (waiting + len(writes) > GATHERED_ROWS or gathered.size >= GATHERED_BYTES):
            raise WritersWait(f"{waiting} rows wait to be written to partition {p}")
        if waiting and (gathered.risky or _fails_alone(writes)):
            self._hand(p)
            if p in self._heaps:
                raise WritersWait(f"partition {p} takes no writes at the moment")
            heap = self._heaps[p] = Heap(self._encoded())
            gathered = heap.writes
        before = gathered.size
        gathered.add(writes)
        size = gathered.size - before
        if done is None:
            heap.casts += len(writes)
            heap.cast_bytes += size
        elif settled:
            heap.settled.append(done)
        else:
            heap.local.append(done)
        if len(gathered.rows) >= HANDED_ROWS or gathered.size >= HANDED_BYTES:
            self._hand(p)
        return size

    def call(self, p: int, call: Call, ran: Ran) -> None:
        """Take in a transaction of one partition; what is taken in after it is done after it.

        Raises:
            WritersWait: too much waits; it was not taken in.
        """
        if p in self._heaps:
            self._hand(p)
            if p in self._heaps:
                raise WritersWait(f"writes that came before wait to be written to partition {p}")
        waiting = self._calls.get(p)
        if waiting is None:
            waiting = self._calls[p] = Calls()
        elif len(waiting.calls) >= GATHERED_CALLS:
            raise WritersWait(f"{len(waiting.calls)} transactions wait to be run in partition {p}")
        waiting.calls.append(call)
        waiting.told.append(ran)
        if len(waiting.calls) >= HANDED_CALLS:
            self._hand_calls(p)

    def flush(self) -> None:
        """Hand everything over that can be."""
        for p in tuple(self._heaps):
            self._hand(p)
        for p in tuple(self._calls):
            self._hand_calls(p)

    def close(self, error: Exception) -> tuple[int, int]:
        """Nothing more will be taken: whoever waits is told. Gives the rows that nobody waits for, and their bytes."""
        heaps = list(self._heaps.values())
        self._heaps.clear()
        for heap in heaps:
            heap.failed(error)
        calls = list(self._calls.values())
        self._calls.clear()
        for waiting in calls:
            waiting.failed(error)
        return sum(heap.casts for heap in heaps), sum(heap.cast_bytes for heap in heaps)

    def _hand(self, p: int) -> None:
        # Out of here first: whoever is called back meanwhile may add to the next one.
        heap = self._heaps.pop(p)
        if not len(heap.writes):
            return
        try:
            self._submit(p, heap)
        except (StoreBusy, WritersWait):
            self._heaps[p] = heap
        except (ReplicationError, StoreError) as error:
            heap.failed(error)

    def _hand_calls(self, p: int) -> None:
        waiting = self._calls.pop(p)
        try:
            self._transact(p, waiting.calls, waiting.told)
        except (StoreBusy, WritersWait):
            self._calls[p] = waiting
        except ClaimLost as error:
            waiting.failed(NotServed(f"partition {p} went elsewhere before it was run: {error}"))
        except (ReplicationError, StoreError) as error:
            waiting.failed(error)


def _fails_alone(writes: Sequence[Write]) -> bool:
    if len(writes) == 1:
        return bool(writes[0][0] == MERGE)
    return any(write[0] == MERGE for write in writes)
