"""What a schema says, as values: the types that the protocol uses, their sizes and their depths.

The parser (`cddl`) makes these with references by name; `resolve` replaces the references and refuses what
only the whole can show. This module must never know CDDL's notation or Python's source.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from node.wire.limits import DEPTH_MAX

HEAD_INLINE_MAX: Final = 23
"""Up to here the value stands in a CBOR head itself (RFC 8949, section 3)."""


class SchemaError(Exception):
    """The schema is wrong or uses what the compiler doesn't support. Mend the line, or teach the compiler."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@attrs.frozen
class Reference:
    """A rule by its name; gone after `resolve`."""

    line: int
    name: str


@attrs.frozen
class Whole:
    """A whole number from `low` to `high`, both included; a literal is a range of one."""

    line: int
    low: int
    high: int


@attrs.frozen
class Bytes:
    """A byte string of `low` to `high` bytes."""

    line: int
    low: int
    high: int


@attrs.frozen
class Text:
    """A text string of `low` to `high` bytes of UTF-8 (RFC 8610, section 3.8.1: size counts bytes)."""

    line: int
    low: int
    high: int


@attrs.frozen
class Bool:
    line: int


@attrs.frozen
class Null:
    line: int


@attrs.frozen
class Member:
    """One place of an array. The name is for people and for error texts; it isn't on the wire."""

    name: str
    type: "Type"


@attrs.frozen
class Array:
    """Exactly these members, in this order."""

    line: int
    members: tuple[Member, ...]


@attrs.frozen
class Repeat:
    """An array of at most `most` elements of one type."""

    line: int
    element: "Type"
    most: int


@attrs.frozen
class Choice:
    """One of several types that their first bytes tell apart."""

    line: int
    alternatives: tuple["Type", ...]


Type = Reference | Whole | Bytes | Text | Bool | Null | Array | Repeat | Choice


@attrs.frozen
class Rule:
    line: int
    name: str
    type: Type


@attrs.frozen
class Frame:
    """A frame of one side: an array whose first member is a literal, the verb."""

    name: str
    verb: int
    array: Array


def literal_of(type_: Type) -> int | None:
    """The one value that the type allows, if it is a whole number of one value."""
    return type_.low if isinstance(type_, Whole) and type_.low == type_.high else None


def head_size(value: int) -> int:
    """Bytes of the shortest CBOR head that carries `value`."""
    if value <= HEAD_INLINE_MAX:
        return 1
    return next(1 + width for width in (1, 2, 4, 8) if value < 1 << 8 * width)


def largest(type_: Type) -> int:
    """The most bytes that a value of this type takes on the wire."""
    match type_:
        case Whole(high=high):
            return head_size(high)
        case Bytes(high=high) | Text(high=high):
            return head_size(high) + high
        case Bool() | Null():
            return 1
        case Array(members=members):
            return head_size(len(members)) + sum(largest(member.type) for member in members)
        case Repeat(element=element, most=most):
            return head_size(most) + most * largest(element)
        case Choice(alternatives=alternatives):
            return max(map(largest, alternatives))
    raise AssertionError(type_)


def depth(type_: Type) -> int:
    """Arrays inside one another, the outermost counted."""
    match type_:
        case Array(members=members):
            return 1 + max(depth(member.type) for member in members)
        case Repeat(element=element):
            return 1 + depth(element)
        case Choice(alternatives=alternatives):
            return max(map(depth, alternatives))
    return 0


def frames_of(rules: Mapping[str, Rule], root: str) -> tuple[Frame, ...]:
    """The frames of one side: the root is a choice of rules, each an array that starts with its verb.

    Raises:
        SchemaError: the root is something else, or a verb is missing, above 255 or used twice.
    """
    if root not in rules:
        raise SchemaError(1, f"there is no rule {root}")
    rule = rules[root]
    alternatives = rule.type.alternatives if isinstance(rule.type, Choice) else (rule.type,)
    frames: list[Frame] = []
    for alternative in alternatives:
        if not isinstance(alternative, Reference):
            raise SchemaError(rule.line, f"{root} must be a choice of named rules")
        named = _rule(rules, alternative)
        array = resolve(rules, named.type)
        verb = literal_of(array.members[0].type) if isinstance(array, Array) else None
        if not isinstance(array, Array) or verb is None or verb > 255:
            raise SchemaError(named.line, f"{named.name} is not an array that starts with a verb of 0..255")
        if any(frame.verb == verb for frame in frames):
            raise SchemaError(named.line, f"{named.name} has verb {verb}, which {root} has already")
        if depth(array) > DEPTH_MAX:
            raise SchemaError(named.line, f"{named.name} is {depth(array)} deep, more than {DEPTH_MAX}")
        frames.append(Frame(named.name, verb, array))
    return tuple(frames)


def resolve(rules: Mapping[str, Rule], type_: Type, within: tuple[str, ...] = ()) -> Type:
    """The type with every reference replaced by what it names.

    Raises:
        SchemaError: an unknown name, a rule inside itself, or a choice that a first byte can't decide.
    """
    match type_:
        case Reference(line=line, name=name):
            if name in within:
                raise SchemaError(line, f"{name} contains itself")
            return resolve(rules, _rule(rules, type_).type, (*within, name))
        case Array(line=line, members=members):
            return Array(line, tuple(Member(m.name, resolve(rules, m.type, within)) for m in members))
        case Repeat(line=line, element=element, most=most):
            return Repeat(line, resolve(rules, element, within), most)
        case Choice(line=line, alternatives=alternatives):
            resolved: list[Type] = []
            for alternative in alternatives:
                inner = resolve(rules, alternative, within)
                resolved.extend(inner.alternatives if isinstance(inner, Choice) else (inner,))
            _check_choice(line, resolved)
            return Choice(line, tuple(resolved))
    return type_


def check_used(rules: Mapping[str, Rule], roots: tuple[str, ...]) -> None:
    """Raises:
    SchemaError: a rule that no root leads to.
    """
    used: set[str] = set()
    waiting = list(roots)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting.extend(reference.name for reference in _references(rules[name].type))
    for rule in rules.values():
        if rule.name not in used:
            raise SchemaError(rule.line, f"nothing uses {rule.name}")


def _rule(rules: Mapping[str, Rule], reference: Reference) -> Rule:
    if reference.name not in rules:
        raise SchemaError(reference.line, f"there is no rule {reference.name}")
    return rules[reference.name]


def _references(type_: Type) -> Iterator[Reference]:
    match type_:
        case Reference():
            yield type_
        case Array(members=members):
            for member in members:
                yield from _references(member.type)
        case Repeat(element=element):
            yield from _references(element)
        case Choice(alternatives=alternatives):
            for alternative in alternatives:
                yield from _references(alternative)


def _check_choice(line: int, alternatives: list[Type]) -> None:
    for at, one in enumerate(alternatives):
        for other in alternatives[:at]:
            if not _told_apart(one, other):
                raise SchemaError(line, "two alternatives that their first bytes don't tell apart")


def _told_apart(one: Type, other: Type) -> bool:
    if isinstance(one, Array) and isinstance(other, Array):
        if len(one.members) != len(other.members):
            return True
        first, second = literal_of(one.members[0].type), literal_of(other.members[0].type)
        return first is not None and second is not None and first != second
    if isinstance(one, Array | Repeat) and isinstance(other, Array | Repeat):
        return False
    return type(one) is not type(other)
