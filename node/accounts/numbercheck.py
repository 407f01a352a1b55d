"""Whether a message's recipient can be a phone number, remembered: to look at a number takes longer than a message may.

Without it anybody who is logged in could have mail kept for numbers that nobody can ever have. This module must never
know who is registered.
"""

from typing import Final

from node.accounts.numbers import Strictness, is_number

NUMBERS_REMEMBERED_MAX: Final = 16_384
"""Some 100 bytes each; the one that was looked at first is forgotten first."""


class NumberCheck:
    """`is_number` of one strictness, with a memory of at most `most` numbers."""

    __slots__ = ("_passed", "_strictness", "most")

    def __init__(self, strictness: Strictness, most: int = NUMBERS_REMEMBERED_MAX) -> None:
        assert most >= 1
        self.most = most
        self._strictness: Strictness = strictness
        self._passed: dict[int, bool] = {}

    def __len__(self) -> int:
        return len(self._passed)

    def passes(self, user: int) -> bool:
        """Whether this user can be a phone's number."""
        passed = self._passed.get(user)
        if passed is None:
            if len(self._passed) >= self.most:
                del self._passed[next(iter(self._passed))]
            passed = self._passed[user] = is_number(user, self._strictness)
        return passed
