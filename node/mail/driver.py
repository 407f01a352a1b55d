"""Carries out the mail core's effects: those for sessions go to an outlet, those for the store to whoever keeps it.

All calls are made on the hub's thread. Reads are answered at once while the group is warm; otherwise, as commits,
when the hub delivers the store's results. What was asked for before its partition was dropped isn't answered: the
pair, the box or the list of events that waited for it is no more, or is another one.
"""

from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import structlog

from node.mail import (
    acking,
    delivery,
    dropping,
    effects,
    expiry,
    healing,
    loading,
    numbering,
    receipts,
    retelling,
    settling,
    telling,
    writebehind,
)
from node.mail.committing import Alone, Committing, Outcome
from node.mail.pair import Pair
from node.mail.rows import MailTables
from node.mail.state import Batch, Effect, Handle, MailState
from store.errors import StoreBusy, StoreError
from store.results import Result
from store.snapshot import Snapshot

log = structlog.get_logger()

STALLED_MAX = 100_000
"""Reads that wait because the store's queue of cold reads is full, or for a commit that was cut; each belongs to a
session or a load, which are limited themselves."""
RETRIES_MAX = 256
"""Of them, asked for again in one pass."""

_TO_NODES = (effects.TELL, effects.TOLD, effects.RETELL, effects.RETOLD)

Outlet = Callable[[Effect], None]
Current = Callable[[], bool]
"""Whether whoever asked still waits for the answer."""


def _unheard(user: int, session: Handle) -> None:
    """Where nothing is ever dropped."""


def _nobody(effect: Effect) -> None:
    """Where there are no other nodes."""


class MailDriver:
    """`drain` after the core was called; `tick` once a pass."""

    __slots__ = (
        "_carry", "_committing", "_ended", "_held", "_known", "_reported", "_stalled", "_tables", "read_errors",
        "state",
    )  # fmt: skip

    def __init__(
        self,
        state: MailState,
        tables: MailTables,
        outlets: dict[int, Outlet],
        known: Callable[[int], bool],
        wiped: Callable[[int, int], None],
        committing: Committing | None = None,
        ended: Callable[[int, Handle], None] = _unheard,
    ) -> None:
        """
        Args:
            outlets: by code, for all effects that concern sessions, and for those to other nodes where there are any.
            known: whether a number is registered. committing: who makes batches durable and reads; the tables'
            own group if it stands alone. ended: told of each session whose user's partition was dropped.
        """
        self.state = state
        self.read_errors = 0
        self._tables = tables
        self._known = known
        self._committing = committing or Alone(tables.group)
        self._ended = ended
        self._stalled: deque[tuple[Effect, Current]] = deque()
        self._held: list[tuple[Effect, Current]] = []  # until the commit under way has ended, which was cut
        self._reported = False
        own: dict[int, Outlet] = {
            effects.LOAD: self._load,
            effects.LOAD_BOX: self._load_box,
            effects.LOOKUP: self._lookup,
            effects.FIND: self._find,
            effects.FETCH: self._fetch,
            effects.SCAN: self._scan,
            effects.LOAD_OWED: self._load_owed,
            effects.SCAN_OWED: self._scan_owed,
            effects.COMMIT: self._commit,
            effects.SCAN_WAITING: self._scan_waiting,
            effects.SCAN_UNTOLD: self._scan_untold,
            effects.SCAN_NOTES: self._scan_notes,
            effects.NOTES_OFF: self._notes_off,
            effects.AGED: lambda effect: expiry.aged(state, effect[1], effect[2]),
            effects.WIPED: lambda effect: wiped(effect[1], effect[2]),
        }
        state.partition_of = tables.partition_of
        carry = dict.fromkeys(_TO_NODES, _nobody) | {**outlets, **own}
        self._carry = [carry[code] for code in range(len(carry))]

    def drain(self) -> None:
        """Carry out everything that was asked for, and what that leads to."""
        state = self.state
        carry = self._carry
        while state.out:
            out, state.out = state.out, []
            left = iter(out)
            effect: Effect = ()
            try:
                for effect in left:
                    carry[effect[0]](effect)
            except BaseException:  # the node ends by it, or its code is rolled back and does it again
                state.out[:0] = [effect, *left]
                raise

    def tick(self) -> None:
        """Write what is due; ask again for what the store was too busy to read."""
        if self._stalled:
            self._retry()
        state = self.state
        if state.telling or state.tell_later:
            telling.ask(state)
        if state.served is not None:
            retelling.look(state, self._tables.noted)
        writebehind.collect(state)
        self.drain()

    def _retry(self) -> None:
        """In the order in which they were asked for, until one stalls again."""
        stalled = self._stalled
        for _ in range(min(len(stalled), RETRIES_MAX)):
            effect, current = stalled.popleft()
            before = len(stalled)
            self._again(effect, current)
            if len(stalled) > before and stalled[-1][0] is effect:
                stalled.appendleft(stalled.pop())
                return

    def _again(self, effect: Effect, current: Current) -> None:
        if current():
            self._carry[effect[0]](effect)
        else:
            dropping.forgotten(self.state, effect)

    @property
    def stalled(self) -> int:
        """Reads that wait for room in the store's queue, or for a commit that was cut."""
        return len(self._stalled) + len(self._held)

    # ---- partitions come and go -----------------------------------------------------------------

    def serve(self, partitions: Collection[int]) -> None:
        """This node is their primary from now on. What came for them too early is forgotten; nobody was let in."""
        if dropping.has_come(self.state, partitions, self._tables.partition_of):
            self.drop(partitions)
        if self.state.served is not None:
            self.state.served.update(partitions)
        for partition in partitions:
            healing.begin(self.state, partition)

    def drop(self, partitions: Collection[int]) -> None:
        """This node is not their primary any more, or others' records are about to be taken in: everything that
        memory holds of them is forgotten. What is being written of them may still come to be on disk; until that is
        known nothing is read of them. It looks at every session once: gather the partitions that go in one pass."""
        if self.state.served is not None:
            self.state.served.difference_update(partitions)
        for user, session in dropping.dropped(self.state, partitions, self._tables.partition_of):
            self._ended(user, session)

    # ---- reads ---------------------------------------------------------------------------------

    def _read(
        self,
        effect: Effect,
        read: Callable[[Snapshot], Any],
        answer: Callable[[Any], None],
        failed: Callable[[], None],
        current: Current,
    ) -> None:
        def done(result: Result) -> None:
            if not current():
                dropping.forgotten(self.state, effect)
            elif result.error is None:
                answer(result.value)
            elif isinstance(result.error, StoreBusy):
                self._stall(effect, failed, current)
            else:
                self.read_errors += 1
                log.error("mail could not be read", what=effect[0], error=str(result.error))
                failed()

        batch = self.state.committing
        if batch is not None and batch.cut and self._home(effect) in batch.cut:
            self._held.append((effect, current))
            return
        try:
            self._committing.read(read, done)
        except StoreBusy:
            self._stall(effect, failed, current)

    def _home(self, effect: Effect) -> int:
        """The partition that a read is about."""
        about = effect[1]
        if isinstance(about, Pair):
            return about.box.partition
        return about if effect[0] == effects.SCAN_UNTOLD else self._tables.partition_of(about)

    def _stall(self, effect: Effect, failed: Callable[[], None], current: Current) -> None:
        if len(self._stalled) >= STALLED_MAX:
            self.read_errors += 1
            failed()
        else:
            self._stalled.append((effect, current))

    def _lives(self, pair: Pair) -> Current:
        pairs = self.state.pairs
        return lambda: pairs.get(pair.key) is pair

    def _load(self, effect: Effect) -> None:
        _, recipient, sender, stream = effect
        key = (recipient, sender, stream)
        loads = self.state.loading
        waiting = loads.get(key)

        def answer(found: tuple[Any, int, Any]) -> None:
            row, high, box = found
            loading.loaded(self.state, key, row, high, box, *self._about(recipient))

        self._read(
            effect,
            self._tables.load(key),
            answer,
            lambda: loading.failed(self.state, key),
            lambda: waiting is not None and loads.get(key) is waiting,
        )

    def _load_box(self, effect: Effect) -> None:
        user = effect[1]
        loads = self.state.box_loading
        waiting = loads.get(user)

        def answer(row: Any) -> None:
            loading.box_loaded(self.state, user, row, *self._about(user))

        self._read(
            effect,
            self._tables.load_box(user),
            answer,
            lambda: loading.box_failed(self.state, user),
            lambda: waiting is not None and loads.get(user) is waiting,
        )

    def _about(self, user: int) -> tuple[int, bool]:
        """Partition, and whether the number is registered, which is looked up only where it matters."""
        known = not self.state.settings.tell_unknown or self._known(user)
        return self._tables.partition_of(user), known

    def _lookup(self, effect: Effect) -> None:
        _, pair, n, body, commits = effect
        self._read(
            effect,
            self._tables.body(pair, n),
            lambda stored: numbering.looked_up(self.state, pair, n, body, commits, stored),
            lambda: numbering.not_looked_up(self.state, pair, n, body),
            self._lives(pair),
        )

    def _find(self, effect: Effect) -> None:
        _, pair, first, last, commits = effect
        self._read(
            effect,
            self._tables.sizes(pair, first, last),
            lambda sizes: acking.found(self.state, pair, first, last, commits, sizes),
            lambda: acking.not_found(self.state, pair),
            self._lives(pair),
        )

    def _fetch(self, effect: Effect) -> None:
        _, pair, handle, start, limit, size = effect
        self._read(
            effect,
            self._tables.messages(pair, start, limit, size),
            lambda found: delivery.fetched(self.state, pair, handle, start, found[0], complete=found[1]),
            lambda: delivery.not_fetched(self.state, pair, handle),
            self._lives(pair),
        )

    def _scan(self, effect: Effect) -> None:
        _, user, handle, after, limit = effect
        boxes = self.state.boxes
        box = boxes.get(user)
        self._read(
            effect,
            self._tables.waiting(user, after, limit),
            lambda found: delivery.scanned(self.state, user, handle, found[0], found[1]),
            lambda: None,  # looked for again when the user logs in
            lambda: boxes.get(user) is box,
        )

    def _load_owed(self, effect: Effect) -> None:
        key = effect[1:]
        loads = self.state.owed_loading
        waiting = loads.get(key)
        self._read(
            effect,
            self._tables.load_owed(key),
            lambda row: receipts.loaded(self.state, key, row),
            # A receipt's row that can't be read is made anew from what is known now.
            lambda: receipts.loaded(self.state, key, None),
            lambda: waiting is not None and loads.get(key) is waiting,
        )

    def _scan_owed(self, effect: Effect) -> None:
        _, sender, handle, after, limit = effect
        scans = self.state.owed_scans
        scan = scans.get(sender)
        self._read(
            effect,
            self._tables.scan_owed(sender, after, limit),
            lambda found: receipts.scanned(self.state, sender, handle, found[0], found[1]),
            lambda: receipts.not_scanned(self.state, sender, handle),
            lambda: scans.get(sender) is scan,
        )

    def _scan_waiting(self, effect: Effect) -> None:
        _, user, after, limit = effect
        running = self.state.wipes
        wipe = running.get(user)
        self._read(
            effect,
            self._tables.waiting_messages(user, after, limit),
            lambda found: expiry.waiting(self.state, user, found[0], found[1]),
            lambda: expiry.not_waiting(self.state, user),
            lambda: wipe is not None and running.get(user) is wipe,
        )

    def _scan_untold(self, effect: Effect) -> None:
        _, partition, after, limit = effect
        running = self.state.healing
        one = running.get(partition)
        self._read(
            effect,
            self._tables.untold_in(partition, after, limit),
            lambda found: healing.found(self.state, partition, *found),
            lambda: healing.not_found(self.state, partition),
            lambda: one is not None and running.get(partition) is one,
        )

    def _scan_notes(self, effect: Effect) -> None:
        def done(result: Result) -> None:
            if result.error is None:
                retelling.scanned(self.state, *result.value)
            else:
                retelling.not_scanned(self.state)

        try:
            self._tables.read_notes(effect[1], effect[2], done)
        except StoreError:
            retelling.not_scanned(self.state)

    # ---- writes --------------------------------------------------------------------------------

    def _commit(self, effect: Effect) -> None:
        batch: Batch = effect[1]
        try:
            self._committing.commit(
                self._tables.writes(batch), lambda outcome: self._committed(batch, outcome)
            )
        except StoreError as error:
            self._committed(batch, Outcome(error))

    def _notes_off(self, effect: Effect) -> None:
        _, key, number, rows = effect

        def done(result: Result) -> None:
            retelling.taken_off(self.state, key, number, failed=result.error is not None)

        try:
            self._tables.take_notes_off(rows, done)
        except StoreError:
            retelling.taken_off(self.state, key, number, failed=True)

    def _committed(self, batch: Batch, outcome: Outcome) -> None:
        error = outcome.error
        if error is not None and not self._reported:
            log.error("mail can't be written; senders are told `busy`", error=str(error))
        elif error is None and self._reported:
            log.info("mail is written again")
        self._reported = error is not None
        lost = outcome.lost - batch.cut  # not what was dropped, and perhaps served again, since
        if lost:
            self.drop(lost)
        settling.committed(self.state, batch, failed=error is not None, copies=outcome.copies)
        served = self.state.served
        if served is not None and error is None:
            healing.again(
                self.state, [key for key in batch.untold if self._tables.partition_of(key[0]) in served]
            )
        held, self._held = self._held, []
        for effect, current in held:
            self._again(effect, current)
