"""Keys: bytes in the order of tuples, self-describing, and an encoding of a whole is that of its parts."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from store import keys
from store.errors import DamagedRecord, KeyNotStorable
from tests.store.worlds import order

simple = (
    st.integers(-(2**70), 2**70)
    | st.sampled_from([0, 1, -1, 255, 256, -255, -256, 1023, 1024, 2**64 - 1, 2**64, -(2**64), -(2**64) + 1])
    | st.binary(max_size=6)
    | st.text(max_size=6)
    | st.sampled_from([b"\0", b"\0\0", b"\0\xff", b"\xff", "\0", "\0\xff", ""])
    | st.none()
)
elements = st.recursive(simple, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=5)
tuples = st.lists(elements, max_size=4).map(tuple)


@given(tuples)
def test_what_was_encoded_is_decoded(key: tuple[Any, ...]) -> None:
    assert keys.decode(keys.encode(key)) == key


@given(tuples, tuples)
def test_bytes_have_the_order_of_tuples(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert (keys.encode(one) < keys.encode(other)) == (order(one) < order(other))
    assert (keys.encode(one) == keys.encode(other)) == (order(one) == order(other))


@given(tuples, tuples)
def test_the_encoding_of_a_whole_is_that_of_its_parts(one: tuple[Any, ...], other: tuple[Any, ...]) -> None:
    assert keys.encode(one) + keys.encode(other) == keys.encode(one + other)


@given(tuples, tuples)
def test_everything_with_a_prefix_lies_between_it_and_its_end(
    prefix: tuple[Any, ...], rest: tuple[Any, ...]
) -> None:
    low = keys.encode(prefix)
    assert low <= keys.encode(prefix + rest) < low + keys.END
    assert low + keys.SEPARATOR <= keys.encode((*prefix, *rest)) or not rest


@given(tuples, st.binary(max_size=20))
def test_what_follows_a_separator_is_given_back(key: tuple[Any, ...], rest: bytes) -> None:
    assert keys.split(keys.encode(key) + keys.SEPARATOR + rest) == (keys.encode(key), rest)
    assert keys.split(keys.encode(key)) == (keys.encode(key), b"")


@given(st.binary(max_size=30))
def test_other_bytes_are_called_damaged(data: bytes) -> None:
    try:
        key = keys.decode(data)
    except DamagedRecord:
        return
    assert keys.decode(keys.encode(key)) == key


@pytest.mark.parametrize("key", [(True,), (1.0,), ([1],), ({},), (1, (2, False)), ("\ud800",), (1 << 3000,)])
def test_what_would_not_come_back_is_refused(key: tuple[Any, ...]) -> None:
    with pytest.raises(KeyNotStorable):
        keys.as_key(key)


@pytest.mark.parametrize("key", [(), b"", (b"x" * 511,), b"x" * 512, [1], "a", 5, None])
def test_a_stored_key_is_neither_empty_nor_long_nor_anything_else(key: Any) -> None:
    with pytest.raises(KeyNotStorable):
        keys.as_key(key)


def test_the_longest_key_fits() -> None:
    assert len(keys.as_key((b"x" * 509,))) == 511


@pytest.mark.parametrize("partition", [0, 1, 255, 256, 1023, 65536, 2**64 - 1])
def test_the_partition_is_found_without_decoding(partition: int) -> None:
    encoded = keys.encode((partition, b"rest"))
    assert encoded[: keys.first_length(encoded)] == keys.encode((partition,))


@pytest.mark.parametrize("first", [b"x", "x", None, (1,), -1, 2**64])
def test_a_partition_is_a_small_natural_number(first: Any) -> None:
    with pytest.raises(KeyNotStorable):
        keys.first_length(keys.encode((first, 1)))
