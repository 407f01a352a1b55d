"""Stand-ins: what a guess is measured by where the store has no PIN of the number. A bounded number, in memory.

A number with a PIN has so many attempts, and then waits for its next PIN. If one without differed, guessing would tell
which numbers have asked for one, and so, who is registering. Its stand-in is the record of a PIN that nobody can guess,
as if one had been asked for shortly before the first guess; how shortly is left to chance, as with a real one.

This module must never know whether there is a PIN: each guess counts here, and where there is one the stand-in isn't
looked at.
"""

from collections import OrderedDict
from random import Random

from node.accounts import pins
from node.accounts.pins import PinRecord, PinRules


class StandIns:
    """Stand-ins by user, at most `most`: who hasn't been guessed at for longest is forgotten, and starts afresh."""

    __slots__ = ("_random", "_records", "_rules", "most")

    def __init__(self, rules: PinRules, most: int, random: Random) -> None:
        assert most >= 1
        self.most = most
        self._rules = rules
        self._random = random
        self._records: OrderedDict[int, PinRecord] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def guessed(self, user: int, now: int) -> PinRecord:
        """Count a guess; gives the stand-in as it was before."""
        record = self._records.get(user)
        record = None if record is None else pins.corrected(record, now)
        if record is None or pins.is_spent(record, now):
            asked = now - self._random.randrange(self._rules.wait_ms)
            record = PinRecord((asked,), bytes(pins.SALT_SIZE), bytes(pins.DIGEST_SIZE))
        self._records[user] = pins.missed(record, self._rules)
        self._records.move_to_end(user)
        if len(self._records) > self.most:
            self._records.popitem(last=False)
        return record
