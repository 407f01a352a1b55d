"""Merges that have a name, so that a declaration which is only data can say how its records come together.

A merge takes (old value or None, new value) and gives what both come to. Whatever order copies meet in, and however
often, they must end up alike; so each of these is commutative, associative and idempotent for all values that can be
stored, also for those it isn't meant for, and None (no value) changes nothing. What a merge gives is in a normal form,
equal byte for byte wherever it was computed.

    max, min        the larger or smaller value, in the order of `order_of`
    union           lists as sets: each element once, in that order
    maxima          dicts: the larger value of each name (a counter with one name for each node that counts)
    add_wins_map    dicts of [count, value or None]: see `added`, `removed`, `present`

This module must never know a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import cbor2

from store.errors import UnknownMerge

Merge = Callable[[Any, Any], Any]

_RANKS: Final = MappingProxyType(
    {type(None): 0, bool: 1, int: 2, float: 2, bytes: 3, str: 4, list: 5, tuple: 5, dict: 6}
)
_OTHERS: Final = 7


def order_of(value: Any) -> tuple[Any, ...]:
    """What values compare by: None < bool < numbers < bytes < str < lists < dicts, each in its own order.

    Numbers that are equal but of different types are different values, ordered by their encoding; so are those that
    aren't numbers.
    """
    kind = type(value)
    rank = _RANKS.get(kind, _OTHERS)
    if rank == 2:
        number = value if value == value else float("-inf")  # nan equals nothing: the encoding tells it apart
        return rank, number, cbor2.dumps(value)
    if rank == 5:
        return rank, tuple(order_of(element) for element in value)
    if rank == 6:
        return rank, tuple(sorted((order_of(name), order_of(one)) for name, one in value.items()))
    if rank == _OTHERS:
        return rank, cbor2.dumps(value)
    return rank, value


def normal(value: Any) -> Any:
    """The value with the names of every dict in order, so that equal values have equal encodings."""
    if isinstance(value, list | tuple):
        return [normal(element) for element in value]
    if isinstance(value, dict):
        return {name: normal(value[name]) for name in sorted(value, key=order_of)}
    return value


def larger(old: Any, new: Any) -> Any:
    """The larger of two values."""
    return normal(old if order_of(old) > order_of(new) else new)


def smaller(old: Any, new: Any) -> Any:
    """The smaller of two values; None is no value, and gives way."""
    if old is None or new is None:
        return normal(new if old is None else old)
    return normal(old if order_of(old) < order_of(new) else new)


def union(old: Any, new: Any) -> Any:
    """Every element of both lists once. What is no list counts as a list of itself."""
    if old is None and new is None:
        return None
    elements = {order_of(element): element for element in (*_elements(old), *_elements(new))}
    return [normal(elements[order]) for order in sorted(elements)]


def _elements(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return list(value)
    return [] if value is None else [value]


def maxima(old: Any, new: Any) -> Any:
    """Name by name the larger value. What is no dict gives way to one that is."""
    return _by_name(old, new, larger)


def add_wins_map(old: Any, new: Any) -> Any:
    """Name by name the entry with the higher count; of equal counts, what is there wins over what is removed."""
    return _by_name(old, new, _entry)


def _by_name(old: Any, new: Any, merge: Merge) -> Any:
    if not isinstance(old, dict) or not isinstance(new, dict):
        if isinstance(old, dict) or isinstance(new, dict):
            mapping = old if isinstance(old, dict) else new
            return {name: merge(None, mapping[name]) for name in sorted(mapping, key=order_of)}
        return larger(old, new)
    names = sorted({**old, **new}, key=order_of)
    return {name: merge(old.get(name), new.get(name)) for name in names}


def _entry(old: Any, new: Any) -> Any:
    # Any larger value would do for the laws; [count, None] < [count, value] is what makes the addition win.
    return larger(old, new)


def added(mapping: Any, name: Any, value: Any) -> dict[Any, Any]:
    """A change to store with MERGE in an `add_wins_map`: the name is there, with a value that isn't None."""
    assert value is not None, "None says that a name is removed"
    return {name: [_count(mapping, name) + 1, value]}


def removed(mapping: Any, name: Any) -> dict[Any, Any]:
    """A change to store with MERGE in an `add_wins_map`: the name is there no longer, unless added at the same time."""
    return {name: [_count(mapping, name) + 1, None]}


def present(mapping: Any) -> dict[Any, Any]:
    """What is in an `add_wins_map`."""
    return {name: entry[1] for name, entry in (mapping or {}).items() if entry[1] is not None}


def _count(mapping: Any, name: Any) -> int:
    entry = (mapping or {}).get(name)
    return 0 if entry is None else int(entry[0])


MERGES: Final[Mapping[str, Merge]] = MappingProxyType(
    {"max": larger, "min": smaller, "union": union, "maxima": maxima, "add_wins_map": add_wins_map}
)


def merge_named(name: str) -> Merge:
    """Raises UnknownMerge."""
    try:
        return MERGES[name]
    except KeyError:
        raise UnknownMerge(
            f"there is no merge {name!r}", f"choose one of {', '.join(sorted(MERGES))}"
        ) from None
