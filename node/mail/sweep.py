"""Looks through the store, a slice at a time, for messages above the age limit and pairs that nobody wrote to for long.

Messages of a pair arrive in the order of their numbers, so a pair is done with when its first message is young: the
sweep costs a seek for each pair that has mail waiting, not one for each message.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
import trio

from node.mail import expiry
from node.mail.pair import PairKey
from node.mail.rows import MailTables
from node.mail.settings import DAY_MS, MailSettings
from node.mail.state import MailState
from node.mail.tables import PAIR, RECEIPT
from replication.rounds import go_round
from store import keys
from store.errors import StoreBusy, StoreError, StoreFatal
from store.snapshot import Snapshot

TOMBSTONES_MS = 3_600_000
"""How often a node that stands alone forgets the tombstones of pairs and receipts."""
SWEEP_MESSAGES = 1_024
"""Messages that a slice ends; the reading of one holds up the hub while the store is warm."""


log = structlog.get_logger()


def _every(partition: int) -> bool:
    return True


Aged = list[tuple[PairKey, list[tuple[int, int]]]]
Old = list[tuple[PairKey, int]]


class Sweep:
    """`soon` runs a function on the hub, where the core may be called. `served`: the partitions that this node is
    primary of, called where the store is read; the others are another node's to sweep. None: it stands alone, with all
    of them, and nobody needs its tombstones."""

    def __init__(
        self,
        settings: MailSettings,
        tables: MailTables,
        state: MailState,
        soon: Callable[[Callable[[], None]], None],
        served: Callable[[int], bool] | None = None,
    ) -> None:
        self._settings = settings
        self._tables = tables
        self._state = state
        self._soon = soon
        self._alone = served is None
        self._served = served or _every
        self._tombstones_at = 0  # when they were looked through last
        self._messages_from = b""
        self._pairs_from = b""
        self.damaged = 0  # rows of pairs that were passed over; a statistic

    async def run(self) -> None:
        """Until cancelled."""
        await go_round(self.step)

    async def step(self) -> None:
        """Wait, then look at the next slice of both tables."""
        await trio.sleep(self._settings.sweep_interval_s)
        now = self._state.now
        group = self._tables.group
        try:
            aged, self._messages_from = await group.fetch(
                partial(
                    self.aged, low=self._messages_from, oldest=now - self._settings.message_age_days * DAY_MS
                )
            )
            last_day = now // DAY_MS - self._settings.pair_retention_days
            old, self._pairs_from = await group.fetch(
                partial(self.old, low=self._pairs_from, last_day=last_day)
            )
        except StoreBusy:
            return  # phones first; the same slice next time
        for key, rows in aged:
            self._soon(partial(self._tell, expiry.aged, key, rows))
        for key, day in old:
            self._soon(partial(self._tell, expiry.old_pair, key, day))
        if self._alone and now - self._tombstones_at >= TOMBSTONES_MS:
            self._tombstones_at = now
            await self._forget_tombstones(now)

    async def _forget_tombstones(self, now: int) -> None:
        for table in (PAIR, RECEIPT):
            try:
                await self._tables.group.purge_tombstones(table.name, before_ms=now)
            except StoreFatal:
                raise
            except StoreError as error:  # a full disk, say; there is another round
                log.warning("tombstones of mail were not forgotten", table=table.name, cause=str(error))

    def _tell(self, told: Callable[[MailState, PairKey, Any], None], key: PairKey, what: Any) -> None:
        if self._served(self._tables.partition_of(key[0])):  # it may have gone since
            told(self._state, key, what)

    def aged(self, reader: Snapshot, low: bytes, oldest: int) -> tuple[Aged, bytes]:
        """Messages that arrived by ``oldest`` (ms), by pair, and where to go on (b"": from the start)."""
        message = self._tables.message
        found: Aged = []
        left = SWEEP_MESSAGES
        for _ in range(self._settings.sweep_pairs):
            first = reader.keys(message, low, keys.END, 1)
            if not first:
                return found, b""
            key = first[0]
            if not self._served(key[0]):
                low = keys.encode(key[:1]) + keys.END
                continue
            prefix = keys.encode(key[:4])
            arrivals = self._tables.arrivals(reader, prefix, 1)
            if arrivals and arrivals[0][1] <= oldest:
                rows = self._tables.arrivals(reader, prefix, left)
                found.append(((key[1], key[2], key[3]), [(n, size) for n, at, size in rows if at <= oldest]))
                left -= len(rows)
                if not left:
                    return found, prefix  # there may be more of this pair
            low = prefix + keys.END
        return found, low

    def old(self, reader: Snapshot, low: bytes, last_day: int) -> tuple[Old, bytes]:
        """Pairs without waiting messages that last changed before ``last_day``, and where to go on."""
        rows, damaged = reader.sound(self._tables.pair, low, keys.END, self._settings.sweep_pairs)
        found: Old = []
        self.damaged += len(damaged)
        for key, row in rows:
            if row[4] >= last_day or not self._served(key[0]):
                continue
            prefix = keys.encode(key)
            if not reader.keys(self._tables.message, prefix, prefix + keys.END, 1):
                found.append(((key[1], key[2], key[3]), row[4]))
        if len(rows) + len(damaged) < self._settings.sweep_pairs:
            return found, b""
        return found, keys.encode(max(*(key for key, _ in rows[-1:]), *damaged[-1:], ())) + keys.END
