"""What was attempted, and what was answered: kept outside of the members, and in a file as it happens.

One attempt of a key is under way at a time, and a key of which an attempt's outcome isn't known is never written
again. So attempts of a key have an order, and its end is nearly always known. This module must never judge.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any, Final

from attrs import define, field

UNDER_WAY: Final = "under way"
UNKNOWN: Final = "unknown"
REFUSED: Final = "refused"
"""It surely hasn't happened."""
DONE: Final = "done"

PUT: Final = "put"
DELETE: Final = "delete"
MERGE: Final = "merge"
TRANSFER: Final = "transfer"

Key = tuple[Any, ...]


@define
class Attempt:
    """One write, transfer or addition. `number` is what its value bears.

    copies: what was answered. begun, ended: places in the order of everything that was recorded. window: the split in
    which it happened, 0 for none.
    """

    number: int
    group: str
    key: Key
    kind: str
    policy: str
    member: int
    begun: int
    window: int
    ended: int = 0
    copies: int = 0
    outcome: str = UNDER_WAY


@define(eq=False)
class Record:
    """All attempts of a run, by key in their order."""

    path: Path
    attempts: list[Attempt] = field(factory=list)
    by_key: dict[tuple[str, Key], list[Attempt]] = field(factory=dict)
    window: int = 0
    windows: int = 0
    rolled_back: int = 0  # when a directory was last replaced by an older one
    _order: int = 0
    _file: IO[str] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a", buffering=1)

    def begin(self, group: str, key: Key, kind: str, policy: str, member: int) -> Attempt:
        """Write down what is about to be asked for."""
        attempt = Attempt(len(self.attempts) + 1, group, key, kind, policy, member, self._next(), self.window)
        self.attempts.append(attempt)
        self.by_key.setdefault((group, key), []).append(attempt)
        self._write("attempt", attempt.number, group, key, kind, policy, member, attempt.window)
        return attempt

    def end(self, attempt: Attempt, outcome: str, copies: int = 0) -> None:
        """Write down what was answered, or that no answer will come."""
        attempt.ended = self._next()
        attempt.outcome = outcome
        attempt.copies = copies
        self._write("answer", attempt.number, outcome, copies)

    def split(self) -> None:
        """From now until `healed` there may be two primaries of a partition, each without knowing of the other."""
        self.windows += 1
        self.window = self.windows
        self.note(f"split {self.window}")

    def healed(self) -> None:
        """All members have come to rest."""
        self.window = 0
        self.note("healed")

    def roll_back(self) -> None:
        """A directory is as it was: what was on that disk alone since then is gone."""
        self.rolled_back = self._next()
        self.note("rolled back")

    def note(self, text: str) -> None:
        """For whoever reads the file."""
        self._write("note", text)

    def of_group(self, group: str) -> Iterable[tuple[Key, list[Attempt]]]:
        """Keys of a group and their attempts."""
        return ((key, attempts) for (name, key), attempts in self.by_key.items() if name == group)

    def binds(self, attempt: Attempt) -> bool:
        """Whether what was answered must still hold: it is on two disks, or on one that was not replaced since."""
        if attempt.outcome != DONE:
            return False
        return attempt.copies >= 2 or (attempt.copies == 1 and attempt.begun > self.rolled_back)

    def settled(self, copies: int = 2) -> int:
        """How many attempts were answered with so many copies."""
        return sum(attempt.outcome == DONE and attempt.copies == copies for attempt in self.attempts)

    def close(self) -> None:
        self._file.close()

    def _next(self) -> int:
        self._order += 1
        return self._order

    def _write(self, *words: Any) -> None:
        self._file.write(json.dumps([round(time.time(), 4), *words]) + "\n")
