"""Code objects: whether two do the same, and which code object a function of a source has.

Lines and columns don't count: a function that only moved is the same one. This module must never know of modules
that run.
"""

from collections.abc import Iterator
from types import CodeType
from typing import Any

PARTS = (
    "co_argcount", "co_posonlyargcount", "co_kwonlyargcount", "co_flags", "co_name", "co_code", "co_exceptiontable",
    "co_names", "co_varnames", "co_freevars", "co_cellvars", "co_stacksize",
)  # fmt: skip
"""What makes a code object besides its constants. Where it was compiled from is no part of what it does."""


def same_code(one: CodeType, other: CodeType) -> bool:
    """Whether they do the same, whatever lines they stand on."""
    return one is other or (
        all(getattr(one, part) == getattr(other, part) for part in PARTS)
        and _same_constant(one.co_consts, other.co_consts)
    )


def _same_constant(one: Any, other: Any) -> bool:
    """Equal and of one type: `1`, `1.0` and `True` are equal, and so are 0.0 and -0.0."""
    if type(one) is not type(other):
        return False
    if isinstance(one, CodeType):
        return same_code(one, other)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same_constant, one, other))
    if isinstance(one, frozenset):
        return {(type(item), item) for item in one} == {(type(item), item) for item in other}
    if isinstance(one, float | complex):
        return repr(one) == repr(other)
    return bool(one == other)


def codes_of(module: CodeType) -> dict[tuple[str, int], CodeType]:
    """The code of every function and class body outside of functions, by (qualified name, first line)."""
    return {(code.co_qualname, code.co_firstlineno): code for code in _inner(module) if code is not module}


def _inner(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _inner(constant)


def made_inside(code: CodeType) -> tuple[CodeType, ...]:
    """Functions that it makes when it runs: lambdas and nested ones, not comprehensions, which end within it."""
    return tuple(
        inner
        for inner in _inner(code)
        if inner is not code and (not inner.co_name.startswith("<") or inner.co_name == "<lambda>")
    )


def same_inside(one: CodeType, other: CodeType) -> bool:
    """Whether the functions that they make are the same ones."""
    left, right = made_inside(one), made_inside(other)
    return len(left) == len(right) and all(map(same_code, left, right))
