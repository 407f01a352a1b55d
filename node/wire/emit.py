"""What the two emitters share: lines of Python with their indentation, names, and the texts of refusals.

This module must never know whether values or bytes are checked.
"""

import keyword
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.wire.schema import Array, Bool, Bytes, Choice, Null, Repeat, Text, Type, Whole

_TAKEN: Final = frozenset(("b", "bad", "d", "end", "frame", "i", "j", "size"))
"""Names that the emitted functions use for themselves."""


class Lines:
    """Python source, a line at a time."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._indent = 0

    def add(self, line: str = "") -> None:
        self._lines.append("    " * self._indent + line if line else "")

    @contextmanager
    def block(self, opening: str) -> Iterator[None]:
        self.add(opening)
        self._indent += 1
        yield
        self._indent -= 1

    def refuse(self, condition: str, text: str) -> None:
        with self.block(f"if {condition}:"):
            self.add(f"raise bad({quoted(text)})")

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def quoted(text: str) -> str:
    assert '"' not in text, text
    assert "\\" not in text, text
    return f'"{text}"'


def identifier(name: str) -> str:
    """A Python name for a rule or member: `frame-max` is `frame_max`."""
    result = name.replace("-", "_").replace(" ", "_")
    return result + "_" if result in _TAKEN or keyword.iskeyword(result) else result


def wanted(type_: Type) -> str:
    """What a type allows, in words."""
    match type_:
        case Whole(low=low, high=high):
            return f"must be {low}" if low == high else f"must be a whole number of {low}..{high}"
        case Bytes(low=low, high=high):
            return f"must be {_sizes(low, high)}"
        case Text(low=low, high=high):
            return f"must be text of {_sizes(low, high)}"
        case Bool():
            return "must be true or false"
        case Null():
            return "must be null"
        case Array(members=members):
            return f"must be an array of {len(members)}"
        case Repeat(most=most):
            return f"must be an array of at most {most}"
        case Choice():
            return "is none of its alternatives"
    raise AssertionError(type_)


def _sizes(low: int, high: int) -> str:
    return f"{low} bytes" if low == high else f"{low}..{high} bytes"
