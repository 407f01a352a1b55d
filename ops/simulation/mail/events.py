"""What phones do and are told, as events: with what stands on disks, all that checkers of mail know."""

from __future__ import annotations

from typing import NamedTuple

PairKey = tuple[int, int, bytes]
"""(recipient, sender, stream)"""


class Composed(NamedTuple):
    """An app sends a message: from now on its phone may send it to any node."""

    key: PairKey
    n: int
    body: bytes


class GivenUp(NamedTuple):
    """A number was refused as a message; from now on it is sent as a skip."""

    key: PairKey
    n: int


class Said(NamedTuple):
    """A node says `accepted` to a session."""

    node: int
    key: PairKey
    first: int
    last: int
    how: int


class Ticked(NamedTuple):
    """A sender's phone has heard that a message is accepted: ✓."""

    key: PairKey
    n: int
    how: int


class Handed(NamedTuple):
    """A recipient's phone has stored a message and hands it to its app."""

    key: PairKey
    n: int
    late: bool
    body: bytes


class Receipted(NamedTuple):
    """A sender's phone has heard what became of first..last."""

    key: PairKey
    kind: int
    first: int
    last: int
