"""The tables of a drill: one group of each sort, and the procedure that its transactions run.

    notes    unpartitioned: the newest value stays, what is deleted leaves a tombstone
    marks    the same, in partitions
    sets     a declared merge: lists that only grow
    ledger   two tables that change together: of each key, `left` and `right` always add up to `WHOLE`
    bulk     many records, for copies that fill

Values carry a number that a record of attempts knows: [number, padding], or, in `sets`, a list of numbers; in `ledger`
[amount, numbers of all transfers so far]. This module must never know what was attempted.
"""

from __future__ import annotations

from typing import Any, Final

from replication.placed import Placed
from store.schema import Group, Table

NOTES: Final = "notes"
MARKS: Final = "marks"
SETS: Final = "sets"
LEDGER: Final = "ledger"
BULK: Final = "bulk"

NOTE: Final = "note"
MARK: Final = "mark"
GATHERED: Final = "gathered"
LEFT: Final = "left"
RIGHT: Final = "right"
ROW: Final = "row"

MARKS_PARTITIONS: Final = 4
WHOLE: Final = 100
TRANSFER: Final = "transfer"

DRILLED: Final = (NOTES, MARKS, SETS, LEDGER)
"""The groups that the load of a drill writes to."""


def transfer(transaction: Any, key: list[Any], amount: int, number: int) -> int:
    """Move an amount from left to right; gives how many transfers the key has had."""
    place = tuple(key)
    left = transaction.get(LEFT, place) or [WHOLE, []]
    right = transaction.get(RIGHT, place) or [0, []]
    numbers = [*left[1], number]
    transaction.put(LEFT, place, [left[0] - amount, numbers])
    transaction.put(RIGHT, place, [right[0] + amount, numbers])
    return len(numbers)


def placed(name: str, copies: int = 2) -> Placed:
    """A group by its name. Raises KeyError."""
    simple = {
        NOTES: (Table(NOTE, partitioned=False, tombstones=True),),
        SETS: (Table(GATHERED, partitioned=False, tombstones=True, merge="union"),),
        LEDGER: (
            Table(LEFT, partitioned=False, tombstones=True),
            Table(RIGHT, partitioned=False, tombstones=True),
        ),
        BULK: (Table(ROW, partitioned=False, tombstones=True),),
    }
    if name == MARKS:
        tables = (Table(MARK, partitioned=True, tombstones=True),)
        return Placed(group=Group(MARKS, tables), partitions=MARKS_PARTITIONS, copies=copies)
    return Placed(group=Group(name, simple[name]), copies=copies)
