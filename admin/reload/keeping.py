"""What a live object was before its `code_change`, so that it can be that again.

Kept are its attributes, and what is in those of them that are lists, dicts, sets, deques or bytearrays: these are
filled again in place, for others may hold them, too. What lies deeper isn't kept. This module must never know why
something is undone.
"""

from collections import deque
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any, Final

ABSENT: Final = object()
MADE_BY_CLASS: Final = 1 << 9
"""Py_TPFLAGS_HEAPTYPE: a class of a class statement; others have slots that nobody may set."""


class Kept:
    """One object as it is when this is made."""

    __slots__ = ("_attributes", "_contents", "_one", "_slots")

    def __init__(self, one: Any) -> None:
        self._one = one
        self._attributes = dict(vars(one))
        self._slots = [(slot, _taken(slot, one)) for slot in slots_of(type(one))]
        self._contents = [
            (value, copy(value))
            for value in (*self._attributes.values(), *(value for _, value in self._slots))
            if (copy := _copying(value)) is not None
        ]

    def put_back(self) -> None:
        """It is again what it was."""
        for value, before in self._contents:
            value.clear()
            (value.extend if hasattr(value, "extend") else value.update)(before)
        attributes = vars(self._one)
        attributes.clear()
        attributes.update(self._attributes)
        for slot, value in self._slots:
            if value is not ABSENT:
                slot.__set__(self._one, value)
            elif _taken(slot, self._one) is not ABSENT:
                slot.__delete__(self._one)


def _copying(value: Any) -> Callable[[Any], Any] | None:
    """How what is in it is kept; None: it isn't."""
    if isinstance(value, list | deque | set | bytearray):
        return list
    return dict if isinstance(value, dict) else None


def slots_of(kind: type) -> list[MemberDescriptorType]:
    """Of all its bases: a class with a dict of attributes may have one with slots."""
    return [
        member
        for base in kind.__mro__
        if base.__flags__ & MADE_BY_CLASS
        for member in vars(base).values()
        if isinstance(member, MemberDescriptorType)
    ]


def _taken(slot: MemberDescriptorType, one: Any) -> Any:
    try:
        return slot.__get__(one)
    except AttributeError:
        return ABSENT
