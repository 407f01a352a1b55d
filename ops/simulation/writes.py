"""What clients do and what they are told, as events: the other half of what checkers know.

Every value that is put is different from every other one, so a value says which write it is from.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ops.simulation.records import Key

PUT = "put"
DELETE = "delete"
MERGE = "merge"


class Change(NamedTuple):
    """One key's part of a write. A merge's value is a set's element."""

    op: str
    table: str
    key: Key
    value: Any


class Attempted(NamedTuple):
    """A client asks a node for a write: all of its changes, or none."""

    write: int
    node: int
    group: str
    changes: tuple[Change, ...]


class Half(NamedTuple):
    """What a transaction does to one of its keys: `added` to what it read, which the transaction `before` had put."""

    key: Key
    before: int
    added: int


class Transferred(NamedTuple):
    """A transaction that moves an amount runs on a primary. Whether it is committed is another matter."""

    node: int
    group: str
    incarnation: int
    stamp: int
    halves: tuple[Half, ...]


class Placed(NamedTuple):
    """A primary has committed it: its last change has this sequence, the others those before it.

    A write that was forwarded twice happens twice, in two places.
    """

    write: int
    node: int
    incarnation: int
    sequence: int


class Settled(NamedTuple):
    """A client is told that its write, as it was placed, is durable on so many nodes. `epoch`: the claim's."""

    write: int
    node: int
    incarnation: int
    sequence: int
    copies: int
    epoch: int


class Refused(NamedTuple):
    """A client is told that its write didn't happen, or that nobody knows."""

    write: int
    why: str
