"""Records: what was packed comes back, and damage is noticed wherever it is."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from store import record
from store.errors import DamagedRecord, ValueNotStorable
from store.limits import VALUE_DEPTH_MAX
from store.record import Version

values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
versions = st.builds(Version, st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1))


@given(st.binary(max_size=20), values, versions)
def test_a_record_of_this_node(key: bytes, value: Any, version: Version) -> None:
    raw = record.pack(key, 0, *version, record.encode_value(value))
    found = record.unpack("t", key, raw)
    assert (found.value, found.version, found.local_sequence, found.tombstone) == (
        value,
        version,
        version[1],
        False,
    )
    assert record.value_of("t", key, raw) == value


@given(st.binary(max_size=20), values, versions, st.integers(0, 2**64 - 1), st.booleans())
def test_a_record_of_another_node(key: bytes, value: Any, version: Version, local: int, dead: bool) -> None:
    original = record.pack(key, record.TOMBSTONE if dead else 0, *version, record.encode_value(value))
    raw = record.carry(local.to_bytes(8, "big"), original)
    found = record.unpack("t", key, raw)
    assert (found.version, found.local_sequence, found.tombstone) == (version, local, dead)
    assert found.value == (None if dead else value)
    assert record.original_of(raw) == original == record.original_of(original)
    assert record.version_bytes(raw) == record.version_bytes(original)
    assert record.payload_of("t", key, raw) == record.payload_of("t", key, original)


@given(versions, versions)
def test_versions_compare_as_their_bytes_do(one: Version, other: Version) -> None:
    first, second = (record.version_bytes(record.pack(b"k", 0, *version, b"")) for version in (one, other))
    assert (first < second, first == second) == (one < other, one == other)


@given(st.data(), st.binary(max_size=20), values, versions, st.booleans())
def test_no_changed_bit_goes_unnoticed(
    data: Any, key: bytes, value: Any, version: Version, carried: bool
) -> None:
    raw = record.pack(key, 0, *version, record.encode_value(value))
    if carried:
        raw = record.carry(bytes(8), raw)
    bit = data.draw(st.integers(0, 8 * len(raw) - 1))
    damaged = bytearray(raw)
    damaged[bit // 8] ^= 1 << bit % 8
    if carried and 8 <= bit < 8 * record.PREFIX:
        # The local sequence isn't covered: `changes` then lists another record there, or none (see test_verify).
        assert record.local_sequence(bytes(damaged)) != record.local_sequence(raw)
    else:
        with pytest.raises(DamagedRecord):
            record.unpack("t", key, bytes(damaged))


@given(st.binary(max_size=20), values, versions, st.integers(0, 200))
def test_a_record_cut_short_is_noticed(key: bytes, value: Any, version: Version, length: int) -> None:
    raw = record.pack(key, 0, *version, record.encode_value(value))
    if length < len(raw):
        with pytest.raises(DamagedRecord):
            record.unpack("t", key, raw[:length])


def test_a_record_under_another_key_is_noticed() -> None:
    raw = record.pack(b"here", 0, 1, 2, 3, record.encode_value("x"))
    with pytest.raises(DamagedRecord) as caught:
        record.unpack("t", b"there", raw)
    assert "'t'" in str(caught.value)
    assert "there" not in str(caught.value)


@pytest.mark.parametrize("value", [object(), lambda: None, {"x": object()}, b"x" * (16 * 1024 * 1024 + 1)])
def test_what_has_no_encoding_is_refused_when_it_is_given(value: Any) -> None:
    with pytest.raises(ValueNotStorable):
        record.encode_value(value)


def nested(levels: int, of: str) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if of == "list" else {"x": value}
    return value


@pytest.mark.parametrize("of", ["list", "dict"])
def test_what_is_nested_too_deeply_is_refused_and_what_is_not_comes_back(of: str) -> None:
    deepest = nested(VALUE_DEPTH_MAX, of)
    raw = record.pack(b"k", 0, 1, 2, 3, record.encode_value(deepest))
    assert record.value_of("t", b"k", raw) == deepest
    endless: list[Any] = []
    endless.append(endless)
    for value in (nested(VALUE_DEPTH_MAX + 1, of), nested(10_000, of), endless):
        with pytest.raises(ValueNotStorable):
            record.encode_value(value)
