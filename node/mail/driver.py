"""Carries out the mail core's effects: those for sessions go to an outlet, those for the store to its group.

All calls are made on the hub's thread. Reads are answered at once while the group is warm; otherwise, as commits,
when the hub delivers the store's results.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import structlog

from node.mail import acking, delivery, effects, expiry, loading, numbering, receipts, settling, writebehind
from node.mail.rows import MailTables
from node.mail.state import Batch, Effect, MailState
from store.errors import StoreBusy, StoreError
from store.results import Result
from store.snapshot import Snapshot

log = structlog.get_logger()

STALLED_MAX = 100_000
"""Reads that wait because the store's queue of cold reads is full; each belongs to a session or a load, which are
limited themselves."""
RETRIES_MAX = 256
"""Of them, asked for again in one pass."""

Outlet = Callable[[Effect], None]


class MailDriver:
    """`drain` after the core was called; `tick` once a pass."""

    __slots__ = ("_carry", "_known", "_reported", "_stalled", "_tables", "read_errors", "state")

    def __init__(
        self,
        state: MailState,
        tables: MailTables,
        outlets: dict[int, Outlet],
        known: Callable[[int], bool],
        wiped: Callable[[int, int], None],
    ) -> None:
        """outlets: by code, for all effects that concern sessions. known: whether a number is registered."""
        self.state = state
        self.read_errors = 0
        self._tables = tables
        self._known = known
        self._stalled: deque[Effect] = deque()
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
            effects.AGED: lambda effect: expiry.aged(state, effect[1], effect[2]),
            effects.WIPED: lambda effect: wiped(effect[1], effect[2]),
        }
        carry = {**outlets, **own}
        self._carry = [carry[code] for code in range(len(carry))]

    def drain(self) -> None:
        """Carry out everything that was asked for, and what that leads to."""
        state = self.state
        carry = self._carry
        while state.out:
            out, state.out = state.out, []
            for effect in out:
                carry[effect[0]](effect)

    def tick(self) -> None:
        """Write what is due; ask again for what the store was too busy to read."""
        if self._stalled:
            self._retry()
        writebehind.collect(self.state)
        self.drain()

    def _retry(self) -> None:
        """In the order in which they were asked for, until one stalls again."""
        stalled = self._stalled
        for _ in range(min(len(stalled), RETRIES_MAX)):
            effect = stalled.popleft()
            before = len(stalled)
            self._carry[effect[0]](effect)
            if len(stalled) > before and stalled[-1] is effect:
                stalled.appendleft(stalled.pop())
                return

    @property
    def stalled(self) -> int:
        """Reads that wait for room in the store's queue."""
        return len(self._stalled)

    # ---- reads ---------------------------------------------------------------------------------

    def _read(
        self,
        effect: Effect,
        read: Callable[[Snapshot], Any],
        answer: Callable[[Any], None],
        failed: Callable[[], None],
    ) -> None:
        def done(result: Result) -> None:
            if result.error is None:
                answer(result.value)
            elif isinstance(result.error, StoreBusy):
                self._stall(effect, failed)
            else:
                self.read_errors += 1
                log.error("mail could not be read", what=effect[0], error=str(result.error))
                failed()

        try:
            self._tables.group.read(read, done)
        except StoreBusy:
            self._stall(effect, failed)

    def _stall(self, effect: Effect, failed: Callable[[], None]) -> None:
        if len(self._stalled) >= STALLED_MAX:
            self.read_errors += 1
            failed()
        else:
            self._stalled.append(effect)

    def _load(self, effect: Effect) -> None:
        _, recipient, sender, stream = effect
        key = (recipient, sender, stream)

        def answer(found: tuple[Any, int, Any]) -> None:
            row, high, box = found
            loading.loaded(self.state, key, row, high, box, *self._about(recipient))

        self._read(effect, self._tables.load(key), answer, lambda: loading.failed(self.state, key))

    def _load_box(self, effect: Effect) -> None:
        user = effect[1]

        def answer(row: Any) -> None:
            loading.box_loaded(self.state, user, row, *self._about(user))

        self._read(effect, self._tables.load_box(user), answer, lambda: loading.box_failed(self.state, user))

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
        )

    def _find(self, effect: Effect) -> None:
        _, pair, first, last, commits = effect
        self._read(
            effect,
            self._tables.sizes(pair, first, last),
            lambda sizes: acking.found(self.state, pair, first, last, commits, sizes),
            lambda: acking.not_found(self.state, pair),
        )

    def _fetch(self, effect: Effect) -> None:
        _, pair, handle, start, limit, size = effect
        self._read(
            effect,
            self._tables.messages(pair, start, limit, size),
            lambda found: delivery.fetched(self.state, pair, handle, start, found[0], complete=found[1]),
            lambda: delivery.not_fetched(self.state, pair, handle),
        )

    def _scan(self, effect: Effect) -> None:
        _, user, handle, after, limit = effect
        self._read(
            effect,
            self._tables.waiting(user, after, limit),
            lambda found: delivery.scanned(self.state, user, handle, found[0], found[1]),
            lambda: None,  # looked for again when the user logs in
        )

    def _load_owed(self, effect: Effect) -> None:
        key = effect[1:]
        self._read(
            effect,
            self._tables.load_owed(key),
            lambda row: receipts.loaded(self.state, key, row),
            # A receipt's row that can't be read is made anew from what is known now.
            lambda: receipts.loaded(self.state, key, None),
        )

    def _scan_owed(self, effect: Effect) -> None:
        _, sender, handle, after, limit = effect
        self._read(
            effect,
            self._tables.scan_owed(sender, after, limit),
            lambda found: receipts.scanned(self.state, sender, handle, found[0], found[1]),
            lambda: receipts.not_scanned(self.state, sender, handle),
        )

    def _scan_waiting(self, effect: Effect) -> None:
        _, user, after, limit = effect
        self._read(
            effect,
            self._tables.waiting_messages(user, after, limit),
            lambda found: expiry.waiting(self.state, user, found[0], found[1]),
            lambda: expiry.not_waiting(self.state, user),
        )

    # ---- writes --------------------------------------------------------------------------------

    def _commit(self, effect: Effect) -> None:
        batch: Batch = effect[1]
        try:
            self._tables.group.submit(
                self._tables.writes(batch), lambda result: self._committed(batch, result.error)
            )
        except StoreError as error:
            self._committed(batch, error)

    def _committed(self, batch: Batch, error: BaseException | None) -> None:
        if error is not None and not self._reported:
            log.error("mail can't be written; senders are told `busy`", error=str(error))
        elif error is None and self._reported:
            log.info("mail is written again")
        self._reported = error is not None
        settling.committed(self.state, batch, failed=error is not None)
