"""Budgets: how often a key (an address, a number) may do something, in bounded memory.

The generic cell rate algorithm (ITU-T I.371): one time per key, that at which its budget is whole again. A
key may spend `burst` at once and then one each `every`, so in any span t it spends burst + t / every at
most. The key that has not spent for longest is forgotten when the table is full, and starts afresh: limits
that must never be forgotten are kept in the store, not here.

This module must never know what is being limited.
"""

from collections import OrderedDict
from collections.abc import Hashable

import attrs


@attrs.frozen
class BudgetStatistics:
    """keys: how many have spent lately; forgotten: evicted with a debt; refused: spends that had to wait."""

    keys: int
    forgotten: int
    refused: int


class Budgets:
    """What each key may still spend. All times are in milliseconds of the caller's clock."""

    __slots__ = ("_forgotten", "_refused", "_whole_at", "burst", "every_ms", "keys_max")

    def __init__(self, *, burst: int, every_ms: int, keys_max: int) -> None:
        assert burst >= 1
        assert every_ms >= 1
        assert keys_max >= 1
        self.burst = burst
        self.every_ms = every_ms
        self.keys_max = keys_max
        self._whole_at: OrderedDict[Hashable, int] = OrderedDict()
        self._forgotten = 0
        self._refused = 0

    def wait(self, key: Hashable, now: int) -> int:
        """How long until this key can spend; 0 is now. Spends nothing."""
        debt = self.debt(key, now)
        return max(0, debt - (self.burst - 1) * self.every_ms)

    def debt(self, key: Hashable, now: int) -> int:
        """How long until this key's budget is whole; 0 for one that has spent nothing lately."""
        whole_at = self._whole_at.get(key)
        if whole_at is None:
            return 0
        empty = self.burst * self.every_ms
        if whole_at - now > empty:  # the clock was set back: nobody waits longer than for an empty budget
            self._whole_at[key] = now + empty
            return empty
        return max(0, whole_at - now)

    def spend(self, key: Hashable, now: int) -> int:
        """Spend one. Returns 0, or how long to wait: then nothing was spent."""
        debt = self.debt(key, now)
        wait = debt - (self.burst - 1) * self.every_ms
        if wait > 0:
            self._refused += 1
            return wait
        self._remember(key, now + debt + self.every_ms, now)
        return 0

    def refund(self, key: Hashable, now: int) -> None:
        """Give one back: what was spent turned out not to be what is limited."""
        debt = self.debt(key, now)
        if debt > self.every_ms:
            self._remember(key, now + debt - self.every_ms, now)
        else:
            self._whole_at.pop(key, None)

    def statistics(self) -> BudgetStatistics:
        return BudgetStatistics(keys=len(self._whole_at), forgotten=self._forgotten, refused=self._refused)

    def _remember(self, key: Hashable, whole_at: int, now: int) -> None:
        self._whole_at[key] = whole_at
        self._whole_at.move_to_end(key)
        if len(self._whole_at) > self.keys_max:
            _, forgotten = self._whole_at.popitem(last=False)
            self._forgotten += forgotten > now
        assert len(self._whole_at) <= self.keys_max
