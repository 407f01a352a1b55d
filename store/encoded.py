"""Writes that were checked and encoded, and wait to be submitted: those of several callers become one submit.

Whoever gathers keeps apart what can fail on its own account (`risky`), for one submit happens whole or not at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from store.groupstate import GroupState
from store.writes import Row, Write, encode_writes


class Encoded:
    """Rows of one group, in the order in which they were added."""

    __slots__ = ("generation", "puts", "risky", "rows", "size", "state")

    def __init__(self, state: GroupState) -> None:
        self.state = state
        self.rows: list[Row] = []
        self.size = 0
        self.risky = False
        self.puts = True
        self.generation = state.generation

    def __len__(self) -> int:
        return len(self.rows)

    def add(self, writes: Sequence[Write]) -> None:
        """Check and encode more writes; nothing is added if one of them can't be stored.

        Raises:
            KeyNotStorable, ValueNotStorable, UnknownTable, TableReadOnly, MergeUndeclared, SubmitTooLarge.
        """
        state = self.state
        rows, size, risky, puts = encode_writes(state.by_id, writes)
        self.rows += rows
        self.size += size
        if risky:
            self.risky = True
        if not puts:
            self.puts = False
        if self.generation != state.generation:
            self.generation = -1  # some of each: the committer looks at every row again
