"""What others say that this release doesn't know: counted by its code and passed over, so that a newer release may say
more. Knows nothing of what codes mean.
"""

from __future__ import annotations

from typing import Final

CODES_MAX: Final = 32
"""Codes that are counted one by one; what comes beyond is counted together."""
OTHERS: Final = "others"


class Unknown:
    """Counts of one place where messages come in: a channel of this node's, say."""

    __slots__ = ("counts",)

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def note(self, *code: int) -> None:
        """A message came with this code; with a code in a code, both."""
        name = "-".join(map(str, code))
        if name not in self.counts and len(self.counts) >= CODES_MAX:
            name = OTHERS
        self.counts[name] = self.counts.get(name, 0) + 1

    @property
    def total(self) -> int:
        """How many have come."""
        return sum(self.counts.values())
