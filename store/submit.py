"""What a caller hands over for the committer: some writes that happen together or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from store.carried import CarriedPart
from store.results import Result
from store.tapping import Source
from store.writes import Row

Call = tuple[Callable[..., Any], tuple[Any, ...]]
"""A transaction's function, and what it is called with besides the transaction."""


class Submit:
    """Encoded rows, or functions for a transaction each, or other nodes' records.

    Args:
        count: how many rows or functions there are, encoded or in blobs.
        calls: transactions; each happens whole or not at all, whatever becomes of the others.
        risky: applying it can fail for a reason of its own.
        puts: that it holds nothing but puts.
        source: whose writes these are.
        alone: wants a commit of its own.
        parts: other nodes' records, applied before `rows`.
        trusted: whether these may delete without a tombstone.
        generation: that of the schema which `rows` were encoded under; -1 if nobody knows.
        alter: a step of an alteration, done between two commits.
    """

    __slots__ = (
        "alone",
        "alter",
        "calls",
        "count",
        "done",
        "generation",
        "parts",
        "puts",
        "risky",
        "rows",
        "size",
        "source",
        "trusted",
    )

    def __init__(
        self,
        rows: list[Row],
        size: int,
        done: Callable[[Result], None],
        *,
        count: int = 0,
        risky: bool = False,
        puts: bool = False,
        calls: Sequence[Call] | None = None,
        source: Source = None,
        alone: bool = False,
        parts: Sequence[CarriedPart] | None = None,
        trusted: bool = False,
        generation: int = -1,
        alter: Callable[[Any], Any] | None = None,
    ) -> None:
        self.rows = rows
        self.size = size
        self.done = done
        self.count = count or len(rows) or (len(calls) if calls else 1)
        self.risky = risky
        self.puts = puts
        self.calls = calls
        self.source = source
        self.alone = alone or alter is not None
        self.parts = parts
        self.trusted = trusted
        self.generation = generation
        self.alter = alter

    @property
    def is_several(self) -> bool:
        """Whether some of it may happen and some not."""
        return self.calls is not None and len(self.calls) > 1

    @property
    def grows(self) -> bool:
        """Whether it may need room, as deletes don't."""
        return bool(self.calls or self.parts or any(row[4] for row in self.rows))
