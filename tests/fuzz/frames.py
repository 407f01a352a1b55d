"""Valid frames of either side, drawn from the schema by a seeded random source. For fuzzing: cheap and endless."""

from random import Random
from typing import Any

from node.wire.cddl import parse
from node.wire.compiler import SCHEMA
from node.wire.schema import Array, Bool, Bytes, Choice, Frame, Null, Repeat, Text, Type, Whole, frames_of

_RULES = parse(SCHEMA.read_text())
SIDES: dict[str, tuple[Frame, ...]] = {
    "client": frames_of(_RULES, "client-frame"),
    "server": frames_of(_RULES, "server-frame"),
}

_LONG_ODDS = 500
"""One string in so many has any size that the schema allows; the others are short, or fuzzing would be copying."""

_SHORT_MAX = 40
_LETTERS = "abcdefghijklmnopqrstuvwxyz 0123456789-é€\U0001f600"


def random_frame(side: str, random: Random) -> tuple[Any, ...]:
    value = random_value(random.choice(SIDES[side]).array, random)
    assert isinstance(value, tuple)
    return value


def random_value(type_: Type, random: Random) -> Any:
    """Some value that the type allows, its edges more often than the rest."""
    match type_:
        case Whole(low=low, high=high):
            return random_whole(low, high, random)
        case Bytes(low=low, high=high):
            return random.randbytes(_size(low, high, random))
        case Text(low=low, high=high):
            return _text(low, _size(low, high, random), random)
        case Bool():
            return random.random() < 0.5
        case Null():
            return None
        case Array(members=members):
            return tuple(random_value(member.type, random) for member in members)
        case Repeat(element=element, most=most):
            return tuple(random_value(element, random) for _ in range(random.choice((0, 1, 2, most))))
        case Choice(alternatives=alternatives):
            return random_value(random.choice(alternatives), random)
    raise AssertionError(type_)


def random_whole(low: int, high: int, random: Random) -> int:
    """Each width on the wire about as often as the others."""
    if random.random() < 0.2:
        return random.choice((low, high))
    most = 1 << random.choice((3, 5, 8, 16, 32, 34, 53, 64))
    return random.randint(low, max(low, min(high, most)))


def _size(low: int, high: int, random: Random) -> int:
    if random.randrange(_LONG_ODDS) == 0:
        return random.randint(low, high)
    return random.randint(low, max(low, min(high, _SHORT_MAX)))


def _text(low: int, size: int, random: Random) -> str:
    text = ""
    while len(text.encode()) < size:
        text += random.choice(_LETTERS)
    while len(text.encode()) > size:
        text = text[:-1]
    return text.ljust(low, "x")
