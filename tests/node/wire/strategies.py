"""Hypothesis strategies built from the schema itself: whatever it allows may be drawn, edges often."""

from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from node.wire.cddl import parse
from node.wire.compiler import SCHEMA
from node.wire.schema import Array, Bool, Bytes, Choice, Frame, Null, Repeat, Text, Type, Whole, frames_of

RULES = parse(SCHEMA.read_text())
CLIENT_FRAMES = frames_of(RULES, "client-frame")
SERVER_FRAMES = frames_of(RULES, "server-frame")

_BYTES_DRAWN_MAX = 300
"""Hypothesis needn't draw a body of 60 KiB; the longest sizes have tests of their own."""


def values_of(type_: Type) -> SearchStrategy[Any]:
    match type_:
        case Whole(low=low, high=high):
            edges = [n for bits in (0, 8, 16, 32, 64) for n in ((1 << bits) - 1, 1 << bits)] + [23, 24]
            inside = sorted({n for n in edges if low <= n <= high} | {low, high})
            return st.sampled_from(inside) | st.integers(low, high)
        case Bytes(low=low, high=high):
            return st.binary(min_size=low, max_size=min(high, max(low, _BYTES_DRAWN_MAX)))
        case Text(low=low, high=high):
            short = st.text(st.characters(codec="utf-8"), min_size=low, max_size=high)
            plain = st.text(st.characters(codec="ascii"), min_size=low, max_size=high)
            return plain | short.filter(lambda text: low <= len(text.encode()) <= high)
        case Bool():
            return st.booleans()
        case Null():
            return st.none()
        case Array(members=members):
            return st.tuples(*(values_of(member.type) for member in members))
        case Repeat(element=element, most=most):
            return st.lists(values_of(element), max_size=most).map(tuple)
        case Choice(alternatives=alternatives):
            return st.one_of(*map(values_of, alternatives))
    raise AssertionError(type_)


def frames(side: tuple[Frame, ...]) -> SearchStrategy[tuple[Any, ...]]:
    return st.one_of(*(values_of(frame.array) for frame in side))
