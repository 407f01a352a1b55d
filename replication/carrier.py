"""Carries out what the core of a replica asks for; tells it what the group's store has done, and writes for those who
have its partitions.

The same under real sockets and in the simulator: whoever has it passes `send`, the clock, and a listener. Everything
happens on the thread of the loop.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from replication.core import effects, replica, settling
from replication.core.errors import NoMove
from replication.core.state import ASIDE, Done, ReplicaState
from replication.errands import Errands, error_of
from replication.labels import Labels
from store.encoded import Encoded
from store.group import OpenGroup
from store.results import Result
from store.submit import Call
from store.tapping import Tapped
from store.writes import Write


class Listener(Protocol):
    """Who wants to know what becomes of the group's partitions. Called while effects are carried out."""

    def serve(self, partition: int, epoch: int) -> None: ...
    def cease(self, partition: int) -> None: ...
    def report(self, what: str, details: Mapping[str, Any]) -> None: ...


class Carrier:
    """One replica and its group. `drain` after every call of the core."""

    __slots__ = (
        "_carry",
        "_draining",
        "_epochs",
        "_listener",
        "_send",
        "_single",
        "_touched",
        "claimed",
        "group",
        "labels",
        "state",
    )

    def __init__(
        self,
        state: ReplicaState,
        group: OpenGroup,
        send: Callable[[bytes, Sequence[Any]], object],
        listener: Listener,
        labels: Labels | None = None,
    ) -> None:
        """labels: what tables are called between nodes; None: by their names."""
        self.state = state
        self.group = group
        self.labels = labels
        self._send = send
        self._listener = listener
        self._single = len(state.parts) == 1
        self._epochs: dict[int, int] = {}
        self._touched: dict[int, int] = {}  # partition → the last sequence of the last commit that changed it
        self._draining = False
        self.claimed: Callable[[int], None] | None = None  # told of each partition whose claim is another one
        errands = Errands(state, group, labels, self.drain)
        carry: dict[int, Callable[..., object]] = {
            effects.SEND: self._send,
            effects.STORE: errands.store,
            effects.APPLY: errands.apply,
            effects.READ: errands.read,
            effects.DIGEST: errands.digest,
            effects.CLEAR: errands.clear,
            effects.SERVE: self._serve,
            effects.CEASE: listener.cease,
            effects.DONE: lambda done, copies, error: done(copies, error),
            effects.REPORT: listener.report,
            effects.PURGE: errands.purge,
        }
        self._carry = [carry[code] for code in range(len(carry))]
        for part in state.parts:
            if part.claim is not None and part.claim.primary == state.me:
                self._epochs[part.number] = part.claim.epoch
        epochs = self._epochs
        group.epochs = lambda partition: epochs.get(partition or 0, 0)
        group.tap = self._tapped

    def drain(self) -> None:
        """Carry out everything that was asked for, and what that leads to.

        Calls from within are taken up by the one that is running.
        """
        if self._draining:
            return
        self._draining = True
        state = self.state
        try:
            while state.out or state.reclaimed:
                out, state.out = state.out, []
                for effect in out:
                    self._carry[effect[0]](*effect[1:])
                if state.reclaimed:
                    self._tell_claimed()
        finally:
            self._draining = False

    def _tell_claimed(self) -> None:
        state = self.state
        changed, state.reclaimed = state.reclaimed, set()
        if self.claimed is not None:
            for p in sorted(changed):
                self.claimed(p)

    def close(self) -> None:
        """The group is about to be dropped: whoever waits for something is told."""
        state = self.state
        self.group.tap = None
        for part in state.parts:
            part.phase = ASIDE
            settling.lose(state, part)
            if part.move_done is not None:
                error = NoMove(f"group {self.group.name!r} is being dropped")
                state.out.append((effects.DONE, part.move_done, 0, error))
            part.move_to = part.move_done = None
        state.standing.clear()
        state.moving.clear()
        state.given.clear()
        self.drain()

    # ---- local writes --------------------------------------------------------------------------

    def write(self, p: int, writes: Sequence[Write], done: Done) -> None:
        """Write to a partition that is served here; ``done`` when it is settled, or stands on this node alone.

        Raises:
            ClaimLost, WritersWait, and what the store's submit raises: nothing was written.
        """
        self._begin(p)
        try:
            self.group.submit(writes, partial(self._written, p, done))
        except BaseException:
            settling.unwritten(self.state, p)
            raise

    def write_encoded(self, p: int, writes: Encoded, durable: Done, done: Done | None) -> None:
        """As `write`, for writes that were encoded; ``durable`` is called when they are durable here (or have failed),
        ``done``, if somebody waits for that, when they are settled.

        Raises:
            ClaimLost, WritersWait, StoreBusy, StoreClosed: nothing was written.
        """
        self._begin(p)

        def came(result: Result) -> None:
            error = error_of(result)
            durable(0 if error else 1, error)
            if done is not None:
                self._written(p, done, result)
            else:
                settling.unwritten(self.state, p)

        try:
            self.group.submit_encoded(writes, came)
        except BaseException:
            settling.unwritten(self.state, p)
            raise

    def transact(
        self, p: int, fn: Callable[..., Any], args: tuple[Any, ...], done: Callable[..., None]
    ) -> None:
        """Run ``fn(transaction, *args)`` where the partition is served; done(copies, error, value).

        Raises:
            ClaimLost, WritersWait, StoreBusy, StoreClosed: it was not run.
        """
        self.transact_all(p, ((fn, args),), (done,))

    def transact_all(self, p: int, calls: Sequence[Call], told: Sequence[Callable[..., None]]) -> None:
        """`transact` for several at once; told: done(copies, error, value) of each. They are settled together.

        Raises:
            As `transact`: none of them was run.
        """
        self._begin(p)

        def ran(result: Result) -> None:
            done: list[tuple[Callable[..., None], Any]] = []
            touched = self._touched.get(p, -1)
            sequence = -1
            error = error_of(result)
            for one, tell in zip([result] * len(told) if error else result.value, told, strict=True):
                if one.error is not None:
                    tell(0, one.error, None)
                else:
                    done.append((tell, one.value))
                    if one.sequence <= touched:  # what comes after it has written nothing that others have
                        sequence = one.sequence

            def ended(copies: int, error: Exception | None) -> None:
                for tell, value in done:
                    tell(copies, error, value)

            if not done:
                settling.unwritten(self.state, p)
            elif sequence < 0:
                settling.looked(self.state, p, ended)
            else:
                replica.written(self.state, p, sequence, ended)
            self.drain()

        try:
            self.group.submit_transactions(ran, calls)
        except BaseException:
            settling.unwritten(self.state, p)
            raise
        self.drain()

    def require_room(self, p: int) -> None:
        """Raises ClaimLost, WritersWait: a write would not be taken now."""
        error = settling.writable(self.state, p)
        if error is not None:
            raise error

    def _begin(self, p: int) -> None:
        self.require_room(p)
        settling.writing(self.state, p)

    def _written(self, p: int, done: Done, result: Result) -> None:
        if result.error is not None:
            settling.unwritten(self.state, p)
            done(0, error_of(result))
        else:
            replica.written(self.state, p, result.sequence, done)
        self.drain()

    # ---- what the store has done ---------------------------------------------------------------

    def _tapped(self, tapped: Tapped) -> None:
        parts: Sequence[Any] = tapped.parts
        if self._single:
            parts = [(part[0] or 0, *part[1:]) for part in parts]
        if self.labels is not None:
            parts = self.labels.outward(parts)
        touched = (
            {p or 0: sources for p, sources in tapped.touched.items()} if self._single else tapped.touched
        )
        for p in touched:
            self._touched[p] = tapped.last  # type: ignore[index]
        replica.tapped(self.state, tapped.first, tapped.last, parts, touched)  # type: ignore[arg-type]
        self.drain()

    def _serve(self, p: int, epoch: int) -> None:
        self._epochs[p] = epoch
        self._listener.serve(p, epoch)
