"""A secondary index that is declared by paths and not by a function, so that its declaration is only data.

    FieldIndex("town", paths=(("town",),))                        value["town"]
    FieldIndex("tag", paths=(("tags", EACH),))                    every element of value["tags"]
    FieldIndex("owner", paths=(KeyPath(1), ("address", 0)))       (key[1], value["address"][0])

A row is found under every combination of what its paths lead to. A path that leads nowhere, or to something that can't
be in a key (a float, a bool, a dict), leads to nothing, and a row for which one of the paths leads to nothing isn't in
the index.

This module must never know a table, and never raise because of a value, short of too many entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Final

import attrs

from store.errors import NotDeclarable, ValueNotStorable

EACH: Final = None
"""A step of a path: every element of a list."""

PATHS_MAX: Final = 8
STEPS_MAX: Final = 8
ENTRIES_MAX: Final = 1_000
"""Entries of one row in one index."""

_IN_KEY: Final = "key"
_IN_VALUE: Final = "value"

Step = int | str | bytes | None


def _identifier(_: Any, attribute: Any, value: str) -> None:
    if not isinstance(value, str) or not value.isidentifier():
        raise ValueError(f"{attribute.name} {value!r} must be an identifier")


@attrs.frozen(slots=True)
class KeyPath:
    """A path that begins in the key: element `element` of it (0 is the partition, where there is one)."""

    element: int
    steps: tuple[Step, ...] = ()


Path = tuple[Step, ...] | KeyPath


def _paths(paths: Iterable[Any]) -> tuple[Path, ...]:
    return tuple(path if isinstance(path, KeyPath) else tuple(path) for path in paths)


@attrs.frozen(slots=True)
class FieldIndex:
    """An index by what is found at some paths. Raise `version` to have it built anew."""

    name: str = attrs.field(validator=_identifier)
    paths: tuple[Path, ...] = attrs.field(converter=_paths)
    version: int = 1

    def __attrs_post_init__(self) -> None:
        if not 0 < len(self.paths) <= PATHS_MAX:
            raise ValueError(f"index {self.name!r} must have 1 to {PATHS_MAX} paths")
        for path in self.paths:
            element, steps = (path.element, path.steps) if isinstance(path, KeyPath) else (0, path)
            if len(steps) > STEPS_MAX or (not steps and not isinstance(path, KeyPath)):
                raise ValueError(f"a path of index {self.name!r} must have 1 to {STEPS_MAX} steps")
            if type(element) is not int or element < 0:
                raise ValueError(f"a path of index {self.name!r} begins at key element {element!r}")
            if any(type(step) not in (int, str, bytes, type(None)) for step in steps):
                raise ValueError(f"a step of index {self.name!r} is no int, str, bytes or EACH")

    def fn(self, key: tuple[Any, ...], value: Any) -> list[tuple[Any, ...]]:
        """The tuples under which a row is found."""
        found = [list(_follow(path, key, value)) for path in self.paths]
        count = 1
        for some in found:
            count *= len(some)
        if count > ENTRIES_MAX:
            raise ValueNotStorable(
                f"a row has {count} entries in index {self.name!r}; {ENTRIES_MAX} is the limit"
            )
        return list(product(*found))

    def describe(self) -> list[str]:
        """The paths, for people: key[1], value.town, value.tags.*"""
        return [
            f"key[{path.element}]{_words(path.steps)}"
            if isinstance(path, KeyPath)
            else f"value{_words(path)}"
            for path in self.paths
        ]


def _words(steps: tuple[Step, ...]) -> str:
    return "".join(
        ".*" if step is EACH else f"[{step}]" if type(step) is int else f".{step!s}" for step in steps
    )


def _follow(path: Path, key: tuple[Any, ...], value: Any) -> Iterator[Any]:
    if isinstance(path, KeyPath):
        return _walk(key[path.element], path.steps) if path.element < len(key) else iter(())
    return _walk(value, path)


def _walk(here: Any, steps: tuple[Step, ...]) -> Iterator[Any]:
    if not steps:
        element = _as_element(here)
        if element is not _NOTHING:
            yield element
        return
    step, onward = steps[0], steps[1:]
    if step is EACH:
        if isinstance(here, list | tuple):
            for one in here:
                yield from _walk(one, onward)
    elif isinstance(here, dict):
        if step in here:
            yield from _walk(here[step], onward)
    elif isinstance(here, list | tuple) and type(step) is int and -len(here) <= step < len(here):
        yield from _walk(here[step], onward)


_NOTHING: Final = object()


def _as_element(value: Any) -> Any:
    """What stands for a value in a key, or _NOTHING."""
    if value is None or type(value) in (int, str, bytes):
        return value
    if isinstance(value, list | tuple):
        elements = tuple(_as_element(one) for one in value)
        return _NOTHING if _NOTHING in elements else elements
    return _NOTHING


def index_row(index: FieldIndex) -> dict[str, Any]:
    """The index as plain data."""
    paths = [
        [_IN_KEY, path.element, *path.steps] if isinstance(path, KeyPath) else [_IN_VALUE, *path]
        for path in index.paths
    ]
    return {"name": index.name, "version": index.version, "paths": paths}


def index_from_row(row: Any) -> FieldIndex:
    """The index of plain data. Raises NotDeclarable."""
    try:
        paths = [
            KeyPath(path[1], tuple(path[2:])) if path[0] == _IN_KEY else _value_path(path)
            for path in row["paths"]
        ]
        return FieldIndex(row["name"], tuple(paths), int(row["version"]))
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NotDeclarable(f"an index can't be read from its declaration ({type(error).__name__})") from None


def _value_path(path: list[Any]) -> tuple[Step, ...]:
    if path[0] != _IN_VALUE:
        raise ValueError(path[0])
    return tuple(path[1:])
