"""Writes of one pass become one submit: what a hundred tasks write costs one hand-over, one frame and one ack.

Each caller hears of its own. Writes of different callers share a submit only if none of them can fail on its
own account: a key or value that can't be stored is found before anything is gathered. Bounded by
`GATHERED_ROWS`: more than that goes to the store at once.
"""

from collections.abc import Callable, Sequence

from store.writes import MERGE, Write

GATHERED_ROWS = 1_000
"""Rows that wait for the end of a pass."""

Done = Callable[[int, Exception | None], None]
Submit = Callable[[int, list[Write], Done, bool], None]
"""(partition, writes, done, settled)"""


class _Heap:
    __slots__ = ("dones", "writes")

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self.dones: list[Done] = []


class Gathering:
    """What waits for the end of the pass, by partition and by what is waited for."""

    __slots__ = ("_heaps", "_rows", "_submit")

    def __init__(self, submit: Submit) -> None:
        self._submit = submit
        self._heaps: dict[tuple[int, bool], _Heap] = {}
        self._rows = 0

    def __len__(self) -> int:
        return self._rows

    def add(self, p: int, writes: Sequence[Write], done: Done | None, *, settled: bool) -> None:
        """Take in writes of one partition; ``done`` is called when theirs has ended."""
        heap = self._heaps.get((p, settled))
        if heap is None:
            heap = self._heaps[p, settled] = _Heap()
        heap.writes += writes
        if done is not None:
            heap.dones.append(done)
        self._rows += len(writes)
        if self._rows >= GATHERED_ROWS or any(write[0] == MERGE for write in writes):
            self.flush()

    def flush(self) -> None:
        """Hand everything over."""
        heaps, self._heaps, self._rows = self._heaps, {}, 0
        for (p, settled), heap in heaps.items():
            self._submit(p, heap.writes, _all(heap.dones), settled)


def _all(dones: list[Done]) -> Done:
    def done(copies: int, error: Exception | None) -> None:
        for one in dones:
            one(copies, error)

    return done
