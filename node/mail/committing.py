"""What the mail core's driver needs of whoever keeps its rows, and a group that stands alone as such.

A replicated group stands behind the same two calls; it answers later, with two copies, or with partitions lost.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import attrs

from node.wire.verbs import ONE_COPY
from store.group import OpenGroup
from store.results import Result
from store.snapshot import Snapshot
from store.writes import Write


@attrs.frozen
class Outcome:
    """How a commit ended, for all of its writes.

    error: nothing of it is on disk. copies: on how many nodes it is durable, 1 or 2. lost: partitions of it whose claim
    went elsewhere meanwhile: nobody knows what has become of their part, and nobody may be told.
    """

    error: BaseException | None = None
    copies: int = ONE_COPY
    lost: frozenset[int] = frozenset()


class Committing(Protocol):
    """`done` of a commit is never called before `commit` has returned, nor while the writes may still come to be on
    this node's disk; so what is read after it is not older than it."""

    def commit(self, writes: Sequence[Write], done: Callable[[Outcome], None]) -> None:
        """Make writes durable, all or none. Raises StoreError if they are not taken, and then doesn't call `done`."""

    def read(self, fn: Callable[[Snapshot], Any], done: Callable[[Result], None]) -> None:
        """As `OpenGroup.read`."""


class Alone:
    """A group without copies."""

    __slots__ = ("_group", "read")

    def __init__(self, group: OpenGroup) -> None:
        self._group = group
        self.read = group.read

    def commit(self, writes: Sequence[Write], done: Callable[[Outcome], None]) -> None:
        """Durable on this node's disk."""
        self._group.submit(writes, lambda result: done(Outcome(result.error)))
