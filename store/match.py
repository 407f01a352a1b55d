"""Patterns for `select`, as Mnesia's match specifications, in plain Python values.

`Match(key=(7, ANY, "x"), value={"state": "open"}, where=fn)`: a row matches if its key has the same length and equal
elements where the pattern isn't ANY, its value matches, and `where(key, value)` is true. In a value pattern a dict
asks for those entries (others may be there), a list for exactly those elements, anything else for equality. The
elements of the key before the first ANY bound what is scanned.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs


class _Any:
    __slots__ = ()

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = _Any()
"""Matches everything."""


@attrs.frozen(slots=True)
class Match:
    """A pattern for the key, one for the value, and a function for the rest; `index` names an index to go by.

    With an index, `key` is a pattern for the index's tuple, not for the row's key. `ANY` alone is every key.
    """

    key: Any = ANY
    value: Any = ANY
    where: Callable[[tuple[Any, ...], Any], bool] | None = None
    index: str | None = None

    def prefix(self) -> tuple[Any, ...]:
        """What every matching key begins with."""
        found: list[Any] = []
        if self.key is not ANY:
            for element in self.key:
                if _has_any(element):
                    break
                found.append(element)
        return tuple(found)

    def key_fits(self, key: tuple[Any, ...]) -> bool:
        """Whether a key (or an index's tuple) matches."""
        return self.key is ANY or _tuple_fits(self.key, key)

    def value_fits(self, key: tuple[Any, ...], value: Any) -> bool:
        """Whether a row whose key matches matches as a whole."""
        return fits(self.value, value) and (self.where is None or self.where(key, value))


def fits(pattern: Any, value: Any) -> bool:
    """Whether a value matches a value pattern."""
    if pattern is ANY:
        return True
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and fits(wanted, value[key]) for key, wanted in pattern.items()
        )
    if isinstance(pattern, list):
        return (
            isinstance(value, list)
            and len(value) == len(pattern)
            and all(fits(wanted, one) for wanted, one in zip(pattern, value, strict=True))
        )
    return type(pattern) is type(value) and bool(pattern == value)


def _tuple_fits(pattern: tuple[Any, ...], key: tuple[Any, ...]) -> bool:
    return len(pattern) == len(key) and all(
        wanted is ANY
        or (
            _tuple_fits(wanted, one)
            if isinstance(wanted, tuple) and isinstance(one, tuple)
            else type(wanted) is type(one) and wanted == one
        )
        for wanted, one in zip(pattern, key, strict=True)
    )


def _has_any(element: Any) -> bool:
    return element is ANY or (isinstance(element, tuple) and any(_has_any(one) for one in element))
