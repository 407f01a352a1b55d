"""Looks through the store, a slice at a time, for messages above the age limit and pairs that nobody wrote to for long.

Messages of a pair arrive in the order of their numbers, so a pair is done with when its first message is young: the
sweep costs a seek for each pair that has mail waiting, not one for each message.
"""

from collections.abc import Callable
from functools import partial

import trio

from node.mail import expiry
from node.mail.pair import PairKey
from node.mail.rows import SWEEP_MESSAGES, MailTables
from node.mail.settings import DAY_MS, MailSettings
from node.mail.state import MailState
from store import keys
from store.errors import StoreBusy
from store.snapshot import Snapshot

Aged = list[tuple[PairKey, list[tuple[int, int]]]]
Old = list[tuple[PairKey, int]]


class Sweep:
    """`soon` runs a function on the hub, where the core may be called."""

    def __init__(
        self,
        settings: MailSettings,
        tables: MailTables,
        state: MailState,
        soon: Callable[[Callable[[], None]], None],
    ) -> None:
        self._settings = settings
        self._tables = tables
        self._state = state
        self._soon = soon
        self._messages_from = b""
        self._pairs_from = b""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.step()

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
            self._soon(partial(expiry.aged, self._state, key, rows))
        for key, day in old:
            self._soon(partial(expiry.old_pair, self._state, key, day))

    def aged(self, reader: Snapshot, low: bytes, oldest: int) -> tuple[Aged, bytes]:
        """Messages that arrived by ``oldest`` (ms), by pair, and where to go on (b"": from the start)."""
        message = self._tables.message
        found: Aged = []
        for _ in range(self._settings.sweep_pairs):
            first = reader.range(message, low, limit=1)
            if not first:
                return found, b""
            (key, row) = first[0]
            prefix = keys.encode(key[:4])
            if row[0] <= oldest:
                rows = self._tables.messages(prefix, 1, SWEEP_MESSAGES)(reader)
                aged = [(n, len(body)) for n, arrived, body in rows if arrived <= oldest]
                found.append(((key[1], key[2], key[3]), aged))
            low = prefix + keys.END
        return found, low

    def old(self, reader: Snapshot, low: bytes, last_day: int) -> tuple[Old, bytes]:
        """Pairs without waiting messages that last changed before ``last_day``, and where to go on."""
        rows = reader.range(self._tables.pair, low, limit=self._settings.sweep_pairs)
        found: Old = []
        for key, row in rows:
            if row[4] >= last_day:
                continue
            prefix = keys.encode(key)
            if not reader.range(self._tables.message, prefix, prefix + keys.END, 1):
                found.append(((key[1], key[2], key[3]), row[4]))
        if len(rows) < self._settings.sweep_pairs:
            return found, b""
        return found, keys.encode(rows[-1][0]) + keys.END
