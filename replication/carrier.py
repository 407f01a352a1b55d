"""Carries out what the core of a replica asks for, on the group's store; and tells it what the store has done.

The same under real sockets and in the simulator: whoever has it passes `send`, the clock, and a listener. Everything
happens on the thread of the loop.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from replication.core import effects, replica, settling
from replication.core.errors import NoMove, ReplicationError
from replication.core.state import ASIDE, Done, ReplicaState
from replication.labels import Labels
from replication.tables import REPLICA
from store.digest import range_of
from store.encoded import Encoded
from store.errors import StoreError, UnknownTable
from store.group import OpenGroup
from store.limits import PURGE_ROWS
from store.pulling import Pulled
from store.results import Result
from store.snapshot import Snapshot
from store.submit import Call
from store.tapping import Tapped
from store.transaction import Transaction
from store.writes import DELETE, PUT, Write

DIGEST_KEYS = 2_000
"""Keys in one digest: it stops the group's writer for some milliseconds."""
CLEAR_ROWS = 2_000
"""Rows of a void copy that are dropped in one transaction."""


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
        "_replica_id",
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
        self._replica_id = group.table(REPLICA.name).id
        self._single = len(state.parts) == 1
        self._epochs: dict[int, int] = {}
        self._touched: dict[int, int] = {}  # partition → the last sequence of the last commit that changed it
        self._draining = False
        self.claimed: Callable[[int], None] | None = None  # told of each partition whose claim is another one
        carry: dict[int, Callable[..., object]] = {
            effects.SEND: self._send,
            effects.STORE: self._store,
            effects.APPLY: self._apply,
            effects.READ: self._read,
            effects.DIGEST: self._digest,
            effects.CLEAR: self._clear,
            effects.SERVE: self._serve,
            effects.CEASE: listener.cease,
            effects.DONE: lambda done, copies, error: done(copies, error),
            effects.REPORT: listener.report,
            effects.PURGE: self._purge,
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
            error = _error(result)
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
            error = _error(result)
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
            done(0, _error(result))
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

    def _place(self, p: int) -> int | None:
        return None if self._single else p

    # ---- effects -------------------------------------------------------------------------------

    def _own(self, rows: Sequence[tuple[tuple[Any, ...], Any]]) -> list[Write]:
        table = self._replica_id
        return [(DELETE, table, key) if value is None else (PUT, table, key, value) for key, value in rows]

    def _store(self, rows: Sequence[Any], done: Callable[[Exception | None], None]) -> None:
        self._submit(
            lambda came: self.group.submit(self._own(rows), came), lambda result: done(_error(result))
        )

    def _apply(
        self,
        peer: bytes | None,
        parts: Sequence[Any],
        rows: Sequence[Any],
        trusted: bool,
        done: Callable[[Exception | None, int], None],
    ) -> None:
        self._submit(
            lambda came: self.group.submit_parts(
                self._placed(parts), self._own(rows), came, source=peer, trusted=trusted
            ),
            lambda result: done(_error(result), result.sequence),
        )

    def _placed(self, parts: Sequence[Any]) -> list[tuple[int | None, str, bytes]]:
        if self.labels is not None:
            parts = self.labels.inward(parts)
        return [(self._place(part[0]), part[1], part[2]) for part in parts]

    def _submit(
        self, submit: Callable[[Callable[[Result], None]], None], came: Callable[[Result], None]
    ) -> None:
        def done(result: Result) -> None:
            came(result)
            replica.flush(self.state)
            self.drain()

        try:
            submit(done)
        except (StoreError, ReplicationError) as error:
            came(Result(error))

    def _read(self, wants: Sequence[Any], rows: int, size: int, done: Callable[..., None]) -> None:
        placed = [(self._place(p), since) for p, since in wants]

        def read(reader: Snapshot) -> tuple[int, Pulled]:
            return reader.sequence, reader.pull(placed, None, rows, size)

        def came(result: Result) -> None:
            if result.error is not None:
                done(result.error, 0, (), ())
            else:
                head, pulled = result.value
                parts = [(part[0] or 0, *part[1:]) for part in pulled.parts]
                if self.labels is not None:
                    parts = self.labels.outward(parts)
                done(None, head, parts, [(p or 0, through, whole) for p, through, whole in pulled.progress])
            self.drain()

        try:
            self.group.read(read, came)
        except StoreError as error:
            done(error, 0, (), ())

    def _digest(
        self, p: int, table: str | None, after: bytes, last: bytes | None, done: Callable[..., None]
    ) -> None:
        names = [one.name for one in self.group.tables if one.state.listed]
        try:
            name = self._first(names) if table is None else self._name(table)
            label = self._label(name)
        except StoreError as error:  # being made or dropped
            done(error, "", b"", 0, b"", None)
            return

        def digest(transaction: Transaction) -> tuple[int, bytes, bytes | None]:
            if last is not None:
                return (
                    *transaction.digest_upto(name, self._place(p), after, None if last == END else last),
                    last,
                )
            return transaction.digest(name, self._place(p), after, DIGEST_KEYS)

        def came(result: Result) -> None:
            if result.error is not None:
                done(result.error, label, b"", 0, b"", None)
            else:
                count, found, end = result.value
                following = [one for one in names[names.index(name) + 1 :] if self._is_labelled(one)]
                onward = (label, end) if end else (self._label(following[0]), b"") if following else None
                done(None, label, end or END, count, found, onward)
            self.drain()

        try:
            self.group.submit_transaction(came, digest, alone=True)
        except StoreError as error:
            done(error, label, b"", 0, b"", None)

    def _first(self, names: Sequence[str]) -> str:
        for name in names:
            if self._is_labelled(name):
                return name
        raise UnknownTable(f"group {self.group.name!r} has no replicated table")

    def _is_labelled(self, name: str) -> bool:
        return self.labels is None or self.labels.label(name) is not None

    def _label(self, name: str) -> str:
        label = name if self.labels is None else self.labels.label(name)
        if label is None:
            raise UnknownTable(f"table {name!r} is being made or dropped")
        return label

    def _name(self, label: str) -> str:
        return label if self.labels is None else self.labels.name(label)

    def _clear(self, p: int, done: Callable[[Exception | None, bool], None]) -> None:
        def clear(transaction: Transaction) -> bool:
            return transaction.clear(self._place(p), CLEAR_ROWS)

        self._submit(
            lambda came: self.group.submit_transaction(came, clear),
            lambda result: done(_error(result), bool(result.value)),
        )

    def _purge(self, p: int, before: int) -> None:
        tables = [one.name for one in self.group.tables if one.state.listed and one.state.tombstones]
        self._purge_from(p, before, tables, b"")

    def _purge_from(self, p: int, before: int, tables: list[str], after: bytes) -> None:
        if not tables:
            return
        oldest = int(self.group.state.clock() * 1000) - self.state.settings.tombstone_ms

        def purge(transaction: Transaction) -> bytes | None:
            return transaction.purge(
                tables[0], oldest, before, after, PURGE_ROWS, within=range_of(self._place(p))
            )[1]

        def purged(result: Result) -> None:
            # If it can't be done now, the next round will.
            if result.error is None:
                onward = result.value
                self._purge_from(p, before, tables if onward else tables[1:], onward or b"")

        self._submit(lambda came: self.group.submit_transaction(came, purge), purged)

    def _serve(self, p: int, epoch: int) -> None:
        self._epochs[p] = epoch
        self._listener.serve(p, epoch)


END = b"\xff"
"""The end of a range that goes to the end of its partition."""


def _error(result: Result) -> Exception | None:
    error = result.error
    assert error is None or isinstance(error, Exception)
    return error
