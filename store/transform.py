"""Transforming every record of a table: a function over (key, value), in transactions of bounded size.

Each new value is an ordinary write, with a version, an entry in `changes` and its indexes, so it is replicated like any
other. A transformation can be taken up again at the key where it ended; rows that are written behind it meanwhile are
not transformed, so whoever writes must write what the function would give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from store import keys
from store.limits import SELECT_SCAN_MAX, TRANSFORM_ROWS
from store.reading import logical_key
from store.record import encode_value, payload_of, value_of
from store.rows import Pairs, ReadRows
from store.steps import some
from store.transaction import Transaction

Transformation = Callable[[tuple[Any, ...], Any], Any]
"""(key, value) → the new value. It runs on the committer's thread and may run twice: no side effects."""


@attrs.frozen(slots=True)
class Transformed:
    """How far it came.

    Args:
        looked: rows that the function was given.
        changed: rows that have another value now.
        after: where to go on, or None at the end.
    """

    looked: int
    changed: int
    after: bytes | None


def transform_step(
    transaction: Transaction,
    table: Any,
    fn: Transformation,
    after: bytes = b"",
    limit: int = TRANSFORM_ROWS,
    high: bytes = keys.END,
) -> Transformed:
    """Transform some rows in one transaction: `group.submit_transaction(done, transform_step, table, fn, after)`; those
    below the physical key `high`.

    Raises:
        TableReadOnly, KeyNotStorable, ValueNotStorable, DamagedRecord, what `fn` raises: none of these rows changed.
    """
    state, rows = transaction.stored(table)
    found, onward = some(rows, after, limit, high)
    if state.bag and found:
        found, onward = _whole_keys(rows, found, onward)
    gone: list[tuple[Any, Any]] = []
    come: list[tuple[Any, Any]] = []
    for physical, record in found:
        key, old = logical_key(state, physical), value_of(state.name, physical, record)
        new = fn(key, old)
        if encode_value(new) != payload_of(state.name, physical, record):
            gone.append((key, value_of(state.name, physical, record)))
            come.append((key, new))
    if state.bag:
        for key, value in gone:
            transaction.remove(state, key, value)
    for key, value in come:
        transaction.put(state, key, value)
    return Transformed(len(found), len(come), onward)


def _whole_keys(rows: ReadRows, found: Pairs, onward: bytes | None) -> tuple[Pairs, bytes | None]:
    """All values of a bag's last key: what comes in their place must not be found again, and transformed twice."""
    if onward is None:
        return found, None
    key = keys.split(found[-1][0])[0]
    last = rows.scan(key + keys.SEPARATOR, key + keys.AFTER_SEPARATOR, SELECT_SCAN_MAX)
    return [pair for pair in found if keys.split(pair[0])[0] != key] + last, key + keys.AFTER_SEPARATOR
