"""Emits readers of bytes: functions that decode one frame and check it in the same pass.

A reader accepts exactly one encoding of each frame: definite lengths and shortest heads (the core
deterministic encoding of RFC 8949, section 4.2.1). It looks at each byte once, in order, and takes nothing on
trust: a tag, a map, a float, an indefinite length or a deeper array has simply no branch that takes it.

A reader may look beyond the end of its frame, at the next one or at nothing (IndexError). It compares the
place it reached with the end once, at last, which makes whatever was read from beyond void. Distances that the
compiler knows are added up by it: `_ahead` is how far the code emitted so far has read beyond `i`. This module
must never know what a value means.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node.wire.emit import Lines, identifier, quoted, wanted
from node.wire.schema import (
    HEAD_INLINE_MAX,
    Array,
    Bool,
    Bytes,
    Choice,
    Frame,
    Null,
    Repeat,
    Text,
    Type,
    Whole,
    head_size,
    literal_of,
)

_WHOLE: Final = 0x00
_BYTES: Final = 0x40
_TEXT: Final = 0x60
_ARRAY: Final = 0x80
_FALSE: Final = 0xF4
_TRUE: Final = 0xF5
_NULL: Final = 0xF6
_RESERVED: Final = 28
"""The low five bits from here on are no length (RFC 8949, section 3)."""


def emit_reader(lines: Lines, frame: Frame) -> str:
    """Emit the reader of one frame; return its name. The caller of the reader has looked at the verb."""
    function = f"read_{identifier(frame.name)}"
    with lines.block(f"def {function}(d: bytes, i: int, end: int) -> Frame:"):
        _Reader(lines).frame(frame)
    lines.add()
    lines.add()
    return function


def head(major: int, value: int) -> bytes:
    """The shortest CBOR head of a major type (its first byte with no length in it) and a value."""
    if value <= HEAD_INLINE_MAX:
        return bytes((major + value,))
    width = head_size(value) - 1
    return bytes((major + 23 + width.bit_length(),)) + value.to_bytes(width, "big")


class _Reader:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._ahead = 0

    def frame(self, frame: Frame) -> None:
        start = _ARRAY + len(frame.array.members)
        self._lines.refuse(f"d[i] != 0x{start:02x}", f"{frame.name}: the frame {wanted(frame.array)}")
        self._ahead = 1 + head_size(frame.verb)
        values = [str(frame.verb)]
        for member in frame.array.members[1:]:
            values.append(identifier(member.name))
            self._value(member.type, values[-1], f"{frame.name}: {member.name}")
        self._lines.refuse(f"{self._place()} != end", f"{frame.name}: the frame ends too early or too late")
        self._lines.add(f"return {_tuple(values)}")

    def _value(self, type_: Type, target: str, path: str) -> None:
        match type_:
            case Whole(low=low, high=high) if low == high:
                self._literal(type_, target, path)
            case Whole():
                self._whole(type_, target, path)
            case Bytes(low=low, high=high) if low == high:
                self._fixed_bytes(type_, target, path)
            case Bytes():
                self._string(type_, target, path, "d[i:j]")
            case Text():
                self._string(type_, target, path, 'str(d[i:j], "utf-8")')
            case Bool():
                self._bool(type_, target, path)
            case Null():
                self._lines.refuse(f"d[{self._place()}] != 0x{_NULL:02x}", f"{path} {_wanted(type_)}")
                self._lines.add(f"{target} = None")
                self._ahead += 1
            case Array():
                self._array(type_, target, path)
            case Repeat():
                self._repeat(type_, target, path)
            case Choice():
                self._choice(type_, target, path)

    def _literal(self, type_: Whole, target: str, path: str) -> None:
        encoded = head(_WHOLE, type_.low)
        self._lines.refuse(self._differs(encoded), f"{path} {_wanted(type_)}")
        self._lines.add(f"{target} = {type_.low}")
        self._ahead += len(encoded)

    def _whole(self, type_: Whole, target: str, path: str) -> None:
        text = f"{path} {_wanted(type_)}"
        self._lines.add(f"b = d[{self._place()}]")
        opening = "if"
        if type_.low <= HEAD_INLINE_MAX:
            inline = _between("b", type_.low, min(type_.high, HEAD_INLINE_MAX), 0, 255)
            with self._lines.block(f"if {inline}:"):
                self._lines.add(f"{target} = b")
                self._lines.add(f"i += {self._ahead + 1}")
            opening = "elif"
        # The widest after the shortest: phone numbers and times take eight bytes, counters one or two.
        for width in (8, 2, 1, 4):
            if self._argument(opening, _WHOLE, width, target, type_.low, type_.high, text):
                opening = "elif"
        self._otherwise(text)

    def _fixed_bytes(self, type_: Bytes, target: str, path: str) -> None:
        encoded = head(_BYTES, type_.low)
        self._lines.refuse(self._differs(encoded), f"{path} {_wanted(type_)}")
        self._ahead += len(encoded)
        start = self._place()
        self._ahead += type_.low
        self._lines.add(f"{target} = d[{start}:{self._place()}]")

    def _string(self, type_: Bytes | Text, target: str, path: str, taken: str) -> None:
        major = _BYTES if isinstance(type_, Bytes) else _TEXT
        self._length(major, type_.low, type_.high, f"{path} {_wanted(type_)}")
        self._lines.add("j = i + size")
        self._lines.add(f"{target} = {taken}")
        self._lines.add("i = j")

    def _length(self, major: int, low: int, high: int, text: str) -> None:
        """Read a head of the major type into `size`."""
        self._lines.add(f"b = d[{self._place()}]")
        opening = "if"
        for width in (1, 2):
            if self._argument(opening, major, width, "size", low, high, text):
                opening = "elif"
        if low <= HEAD_INLINE_MAX:
            inline = _between("b", major + low, major + min(high, HEAD_INLINE_MAX), 0, 255)
            with self._lines.block(f"{opening} {inline}:"):
                self._lines.add(f"size = b - 0x{major:02x}")
                self._lines.add(f"i += {self._ahead + 1}")
        self._otherwise(text)

    def _argument(
        self, opening: str, major: int, width: int, target: str, low: int, high: int, text: str
    ) -> bool:
        """A branch for heads with `width` bytes of argument, if the range and the shortest form allow any."""
        least, most = (1 << 4 * width if width > 1 else HEAD_INLINE_MAX + 1), (1 << 8 * width) - 1
        low, high = max(low, least), min(high, most)
        if low > high:
            return False
        first, second = self._place(1), self._place(2)
        with self._lines.block(f"{opening} b == 0x{major + 23 + width.bit_length():02x}:"):
            match width:
                case 1:
                    self._lines.add(f"{target} = d[{first}]")
                case 2:
                    self._lines.add(f"{target} = d[{first}] << 8 | d[{second}]")
                case _:
                    self._lines.add(f"({target},) = u{8 * width}(d, {first})")
            self._lines.refuse(_outside(target, low, high, most), text)
            self._lines.add(f"i += {self._ahead + 1 + width}")
        return True

    def _otherwise(self, text: str) -> None:
        """End the branches on a first byte; every branch that goes on has moved `i` past what it read."""
        with self._lines.block("else:"):
            self._lines.add(f"raise bad({quoted(text)})")
        self._ahead = 0

    def _bool(self, type_: Bool, target: str, path: str) -> None:
        self._lines.add(f"b = d[{self._place()}]")
        self._lines.refuse(f"b != 0x{_TRUE:02x} and b != 0x{_FALSE:02x}", f"{path} {_wanted(type_)}")
        self._lines.add(f"{target} = b == 0x{_TRUE:02x}")
        self._ahead += 1

    def _array(self, type_: Array, target: str, path: str) -> None:
        self._lines.refuse(
            f"d[{self._place()}] != 0x{_ARRAY + len(type_.members):02x}", f"{path} {_wanted(type_)}"
        )
        self._ahead += 1
        values = [f"{target}_{identifier(member.name)}" for member in type_.members]
        for member, value in zip(type_.members, values, strict=True):
            self._value(member.type, value, f"{path}.{member.name}")
        self._lines.add(f"{target} = {_tuple(values)}")

    def _repeat(self, type_: Repeat, target: str, path: str) -> None:
        self._length(_ARRAY, 0, type_.most, f"{path} {_wanted(type_)}")
        self._lines.add(f"{target}_all: list[Any] = []")
        with self._lines.block("for _ in range(size):"), self._branch():
            self._value(type_.element, f"{target}_one", f"{path}[]")
            self._lines.add(f"{target}_all.append({target}_one)")
        self._lines.add(f"{target} = tuple({target}_all)")

    def _choice(self, type_: Choice, target: str, path: str) -> None:
        if self._ahead:
            self._lines.add(f"i += {self._ahead}")
            self._ahead = 0
        self._lines.add(f"{target}: Any")
        self._lines.add("b = d[i]")
        for at, alternative in enumerate(type_.alternatives):
            claim = self._claim(alternative, type_.alternatives)
            with self._lines.block(f"{'elif' if at else 'if'} {claim}:"), self._branch():
                chosen = target if isinstance(alternative, Null) else f"{target}_{at}"
                self._value(alternative, chosen, path)
                if chosen != target:
                    self._lines.add(f"{target} = {chosen}")
        self._otherwise(f"{path} {_wanted(type_)}")

    @contextmanager
    def _branch(self) -> Iterator[None]:
        """Code that may run or not, or again: `i` is right before it and after it."""
        assert self._ahead == 0
        yield
        if self._ahead:
            self._lines.add(f"i += {self._ahead}")
            self._ahead = 0

    def _claim(self, type_: Type, alternatives: tuple[Type, ...]) -> str:
        """Which alternative the bytes at `i` claim to be; `b` is the first of them."""
        match type_:
            case Whole():
                return _between("b", _WHOLE, _WHOLE + _RESERVED - 1, 0, 255)
            case Bytes():
                return _between("b", _BYTES, _BYTES + _RESERVED - 1, 0, 255)
            case Text():
                return _between("b", _TEXT, _TEXT + _RESERVED - 1, 0, 255)
            case Repeat():
                return _between("b", _ARRAY, _ARRAY + _RESERVED - 1, 0, 255)
            case Bool():
                return f"b == 0x{_FALSE:02x} or b == 0x{_TRUE:02x}"
            case Null():
                return f"b == 0x{_NULL:02x}"
            case Array(members=members):
                claim = f"b == 0x{_ARRAY + len(members):02x}"
                rivals = [a for a in alternatives if isinstance(a, Array) and len(a.members) == len(members)]
                literal = literal_of(members[0].type)
                if len(rivals) == 1 or literal is None:
                    return claim
                encoded = head(_WHOLE, literal)
                return f'{claim} and d[i + 1:i + {1 + len(encoded)}] == bytes.fromhex("{encoded.hex()}")'
        raise AssertionError(type_)

    def _place(self, further: int = 0) -> str:
        ahead = self._ahead + further
        return f"i + {ahead}" if ahead else "i"

    def _differs(self, encoded: bytes) -> str:
        """A condition: the next bytes are not these. Of one or two bytes each is compared by itself."""
        if len(encoded) > 2:
            return f'd[{self._place()}:{self._place(len(encoded))}] != bytes.fromhex("{encoded.hex()}")'
        return " or ".join(f"d[{self._place(at)}] != 0x{byte:02x}" for at, byte in enumerate(encoded))


def _between(value: str, low: int, high: int, least: int, most: int) -> str:
    """A condition: low <= value <= high, for a value that is least..most anyway."""
    if low == high:
        return f"{value} == 0x{low:02x}"
    if low == least:
        return f"{value} <= 0x{high:02x}"
    if high == most:
        return f"{value} >= 0x{low:02x}"
    return f"0x{low:02x} <= {value} <= 0x{high:02x}"


def _outside(value: str, low: int, high: int, most: int) -> str:
    """A condition: the value is not low..high, for a value that is at most `most` anyway."""
    return f"{value} < {low}" if high == most else f"not {low} <= {value} <= {high}"


def _wanted(type_: Type) -> str:
    match type_:
        case Array() | Bool() | Null() | Choice():
            return wanted(type_)
    return f"{wanted(type_)}, in its shortest form"


def _tuple(values: list[str]) -> str:
    return f"({', '.join(values)}{',' if len(values) == 1 else ''})"
