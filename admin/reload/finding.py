"""Where a function of a source lives in the running process: behind decorators, in properties, in registries.

Who wraps a function keeps the function object, so changing it in place changes what every wrapper, `partial`, bound
method and `from … import` leads to. This module must never change anything.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, Final

import attrs

from admin.reload.codes import same_code

DEPTH_MAX: Final = 6
"""Wrappers around one function."""


class Missing(LookupError):
    """It is not where its source says. The text says why."""


@attrs.frozen
class Found:
    """caches: what has to be emptied because it remembers answers of the function."""

    function: FunctionType
    caches: tuple[Callable[[], object], ...]


def owner_of(module: ModuleType, qualname: str) -> tuple[Any, str]:
    """(module or class, attribute) of a qualified name.

    Raises:
        Missing
    """
    *path, last = qualname.split(".")
    owner: Any = module
    for name in path:
        owner = vars(owner).get(name)
        if not isinstance(owner, type):
            raise Missing(f"there is no class {name}")
    return owner, mangled(path[-1], last) if path else last


def mangled(owner: str, name: str) -> str:
    """As Python stores private names of a class."""
    private = name.startswith("__") and not name.endswith("__")
    return f"_{owner.lstrip('_')}{name}" if private and owner.strip("_") else name


def find(module: ModuleType, qualname: str, old: CodeType) -> Found:
    """The function object that runs `old`.

    Raises:
        Missing: nothing there runs it.
    """
    owner, name = owner_of(module, qualname)
    first = vars(owner).get(name)
    found = _matching(_behind(first, (), 0), old) if first is not None else []
    if not found:  # overwritten by another of that name, and kept by a registry
        found = _matching((one for value in list(vars(owner).values()) for one in _behind(value, (), 0)), old)
    if not found:
        raise Missing("what runs is not what was read when the node started")
    exact = [one for one in found if one.function.__code__.co_firstlineno == old.co_firstlineno]
    return (exact or found)[0]


def _matching(candidates: Iterable[Found], old: CodeType) -> list[Found]:
    return [
        one
        for one in candidates
        if one.function.__code__.co_qualname == old.co_qualname and same_code(one.function.__code__, old)
    ]


def _behind(value: Any, caches: tuple[Callable[[], object], ...], depth: int) -> Iterator[Found]:
    """Every function that a value leads to when it is called or read."""
    if depth > DEPTH_MAX:
        return
    if isinstance(value, FunctionType):
        yield Found(value, caches)
    if callable(clear := getattr(value, "cache_clear", None)) and not isinstance(value, type):
        caches = (*caches, clear)
    for inner in _inner(value):
        if inner is not None and inner is not value:
            yield from _behind(inner, caches, depth + 1)


def _inner(value: Any) -> Iterator[Any]:
    if isinstance(value, staticmethod | classmethod | MethodType):
        yield value.__func__
    elif isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    elif isinstance(value, functools.partial | functools.partialmethod | functools.cached_property):
        yield value.func
    elif isinstance(value, functools.singledispatchmethod):
        yield value.func
        yield value.dispatcher
    elif isinstance(value, type | ModuleType):
        return
    elif hasattr(value, "__wrapped__"):
        yield value.__wrapped__
        if hasattr(value, "registry"):  # functools.singledispatch
            yield from list(value.registry.values())
    elif isinstance(value, FunctionType):
        for cell in value.__closure__ or ():
            try:
                content = cell.cell_contents
            except ValueError:  # nothing is in it yet
                continue
            if isinstance(content, FunctionType):
                yield content
