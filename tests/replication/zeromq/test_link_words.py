"""What goes over a link: what was said is read, and nothing else is, whatever bytes come."""

from __future__ import annotations

import datetime
from typing import Any

import cbor2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from replication.zeromq import words
from replication.zeromq.errors import MessageNotSendable
from replication.zeromq.settings import BATCH_MESSAGES_MAX, DEPTH_MAX

values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**64), 2**64 - 1)
    | st.binary(max_size=50)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=20,
)
messages = st.builds(
    lambda code, rest: [code, *rest], st.integers(0, 2**64 - 1), st.lists(values, max_size=5)
)


def depth(value: Any) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(st.lists(messages.filter(lambda m: depth(m) < DEPTH_MAX), min_size=1, max_size=40))
def test_a_batch_is_read_as_it_was_joined(said: list[list[Any]]) -> None:
    alone = [words.encode_message(message) for message in said]
    assert words.read(words.join(alone)) == [words.MESSAGES, *said]
    assert words.read(alone[0]) == [words.MESSAGES, said[0]]


@pytest.mark.parametrize("count", [1, 22, 23, 24, 254, 255, 256, BATCH_MESSAGES_MAX])
def test_batches_of_every_length_of_head_are_read(count: int) -> None:
    said = words.read(words.join([words.encode_message((n, None)) for n in range(count)]))
    assert said == [words.MESSAGES, *([n, None] for n in range(count))]


@given(st.binary(max_size=200))
@example(b"")
@example(b"\x80")
@example(b"\x81\xf7")
@example(b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff")
@example(b"\x82\x00\x5b\x7f\xff\xff\xff\xff\xff\xff\xff")
def test_any_bytes_are_read_or_malformed(data: bytes) -> None:
    try:
        said = words.read(data)
    except words.Malformed:
        return
    assert type(said) is list
    assert type(said[0]) is int
    assert words.read(cbor2.dumps(said)) == said, "what is read could have been said"


@given(st.lists(messages, min_size=1, max_size=3), st.data())
@settings(max_examples=200)
def test_altered_batches_are_read_or_malformed(said: list[list[Any]], data: st.DataObject) -> None:
    batch = bytearray(words.join([words.encode_message(message) for message in said]))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(batch) - 1))
        batch[place] = data.draw(st.integers(0, 255))
    del batch[data.draw(st.integers(1, len(batch))) :]
    try:
        read = words.read(bytes(batch))
    except words.Malformed:
        return
    if read[0] == words.MESSAGES:
        assert all(type(message) is list and type(message[0]) is int for message in read[1:])


@given(messages, st.binary(min_size=1, max_size=5))
def test_bytes_after_a_batch_are_malformed(message: list[Any], more: bytes) -> None:
    with pytest.raises(words.Malformed):
        words.read(words.encode_message(message) + more)


def test_no_tag_at_all_is_read() -> None:
    """Whatever cbor2 knows to make of it, in this release or the next."""
    read = []
    for tag in (*range(1_200), 43_000, 55_799, 65_535, 65_536):
        head = (
            bytes((0xC0 | tag,))
            if tag < 24
            else bytes((0xD8, tag))
            if tag < 256
            else b"\xd9" + tag.to_bytes(2, "big")
            if tag < 65_536
            else b"\xda" + tag.to_bytes(4, "big")
        )
        for content in (b"\x00", b"\x40", b"\x60", b"\x80"):
            try:
                words.read(b"\x82\x00\x82\x01" + head + content)
                read.append(tag)
            except words.Malformed:
                pass
    assert read == []


@pytest.mark.parametrize(
    "data",
    [
        cbor2.dumps([0, [1, {}]]),
        cbor2.dumps([0, [1, {1: 2}]]),
        b"\x82\x00\x9f\x01\xff",  # indefinite
        b"\x82\x00\x82\x01\x5f\x41a\xff",
        b"\x82\x00" + b"\x81" * DEPTH_MAX + b"\x01",  # deep
        cbor2.dumps([0, []]),
        cbor2.dumps([0, ["1"]]),
        cbor2.dumps([0, 1]),
        cbor2.dumps([0, [True]]),
        cbor2.dumps([True]),
        cbor2.dumps([]),
        cbor2.dumps(7),
        cbor2.dumps([0, [1, 2**70]]),
        cbor2.dumps([0, *[[1]] * (BATCH_MESSAGES_MAX + 1)]),
    ],
)
def test_what_links_do_not_say_is_malformed(data: bytes) -> None:
    with pytest.raises(words.Malformed):
        words.read(data)


@pytest.mark.parametrize("message", [(), [], ("1",), (True, 1), 5, "x", (1, object()), (1, [set, 2])])
def test_what_cannot_be_said_is_our_own_mistake(message: Any) -> None:
    with pytest.raises(MessageNotSendable) as caught:
        words.encode_message(message)
    assert "object" not in str(caught.value), "no content is told"


@pytest.mark.parametrize("value", [2**70, datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)])
def test_what_needs_a_tag_never_arrives(value: Any) -> None:
    """cbor2 would say it; the peer refuses it. It is a defect of the sender, and ends its link."""
    with pytest.raises(words.Malformed):
        words.read(words.encode_message((1, value)))
