"""Default values that can be known without running anything.

This module must never run what it reads.
"""

import ast
from typing import Any, Final

import attrs

from admin.reload.units import Function

PLAIN: Final = (type(None), bool, int, float, str, bytes)


@attrs.frozen
class Defaults:
    """As a function holds them: None where there are none."""

    values: tuple[Any, ...] | None = None
    keywords: dict[str, Any] | None = None


def defaults_of(node: Function) -> Defaults:
    """
    Raises:
        ValueError: one of them is no plain constant. The text says which.
    """
    arguments = node.args
    values = tuple(_plain(one) for one in arguments.defaults)
    keywords = {
        argument.arg: _plain(one)
        for argument, one in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if one is not None
    }
    return Defaults(values or None, keywords or None)


def _plain(node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except ValueError:
        raise ValueError(f"`{ast.unparse(node)}` is no plain constant") from None
    if not _is_plain(value):
        raise ValueError(f"`{ast.unparse(node)}` can be changed, so that live code may hold it")
    return value


def _is_plain(value: Any) -> bool:
    return isinstance(value, PLAIN) or (type(value) is tuple and all(map(_is_plain, value)))
