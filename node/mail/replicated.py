"""The mail core's rows on a replicated group: a batch is one commit, of as many partitions as it has rows of, and has
ended when each of them has: durable at its heir, or here alone, or lost to another claim.
"""

from collections.abc import Callable, Sequence
from typing import Any

from node.mail.committing import Outcome
from node.wire.verbs import ONE_COPY, TWO_COPIES
from replication.carrier import Carrier
from replication.core import effects, replica, settling
from replication.core.errors import ClaimLost
from store import keys
from store.errors import StoreBusy
from store.results import Result
from store.snapshot import Snapshot
from store.writes import Write

Done = Callable[[Outcome], None]


class Replicated:
    """Implements `Committing`. Whoever has the carrier drains it before the pass ends."""

    __slots__ = ("_carrier", "read")

    def __init__(self, carrier: Carrier) -> None:
        self._carrier = carrier
        self.read: Callable[[Callable[[Snapshot], Any], Callable[[Result], None]], None] = carrier.group.read

    def commit(self, writes: Sequence[Write], done: Done) -> None:
        """As `Committing.commit`."""
        carrier = self._carrier
        state = carrier.state
        partitions = sorted(_partitions(writes))
        refused: dict[int, Exception] = {}
        for p in partitions:
            error = settling.writable(state, p)
            if isinstance(error, ClaimLost):
                refused[p] = error
            elif error is not None:
                raise StoreBusy(str(error)) from error
        if refused:
            outcome = Outcome(next(iter(refused.values())), lost=frozenset(refused))
            state.out.append((effects.DONE, lambda copies, error: done(outcome), 0, None))
            return
        waiting = _Waiting(partitions, done)
        for p in partitions:
            settling.writing(state, p)
        try:
            carrier.group.submit(writes, lambda result: self._written(waiting, partitions, result))
        except BaseException:
            self._unwritten(partitions)
            raise

    def _unwritten(self, partitions: Sequence[int]) -> None:
        for p in partitions:
            settling.unwritten(self._carrier.state, p)

    def _written(self, waiting: "_Waiting", partitions: Sequence[int], result: Result) -> None:
        if result.error is not None:
            self._unwritten(partitions)
            waiting.failed(result.error)
        else:
            for p in partitions:
                replica.written(self._carrier.state, p, result.sequence, waiting.of(p))
            if not partitions:
                waiting.end()
        self._carrier.drain()


class _Waiting:
    """One commit, and the partitions of it that haven't ended."""

    __slots__ = ("_copies", "_done", "_left", "_lost")

    def __init__(self, partitions: Sequence[int], done: Done) -> None:
        self._left = len(partitions)
        self._done = done
        self._copies = TWO_COPIES
        self._lost: set[int] = set()

    def of(self, p: int) -> Callable[[int, Exception | None], None]:
        """What is to be called when a partition's part has ended."""

        def ended(copies: int, error: Exception | None) -> None:
            if error is not None:
                self._lost.add(p)
            elif copies < self._copies:
                self._copies = copies
            self._left -= 1
            if not self._left:
                self.end()

        return ended

    def end(self) -> None:
        self._done(Outcome(copies=max(ONE_COPY, self._copies), lost=frozenset(self._lost)))

    def failed(self, error: BaseException) -> None:
        self._done(Outcome(error))


def _partitions(writes: Sequence[Write]) -> set[int]:
    """The partitions that rows belong to. Their keys are encoded as a rule."""
    found: set[Any] = set()
    for write in writes:
        key = write[2]
        found.add(key[: keys.first_length(key)] if isinstance(key, bytes) else key[0])
    return {keys.decode(one)[0] if isinstance(one, bytes) else one for one in found}
