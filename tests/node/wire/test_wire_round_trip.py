"""What either side may say comes out as it went in, and nothing else has its bytes."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.wire import hot
from node.wire.codec import Decoder, check_client, check_server, decode_client, decode_server, encode
from node.wire.limits import FRAME_MAX
from node.wire.schema import Frame
from tests.node.wire import oracle
from tests.node.wire.strategies import CLIENT_FRAMES, SERVER_FRAMES, frames, values_of

CLIENT = frames(CLIENT_FRAMES)
SERVER = frames(SERVER_FRAMES)


@given(frame=CLIENT)
def test_what_a_client_may_send_is_decoded_as_it_was(frame: tuple[Any, ...]) -> None:
    check_client(frame)
    out: list[Any] = []
    data = encode(frame)
    assert decode_client(data, FRAME_MAX, out) == len(data)
    assert out == [frame]


@given(frame=SERVER)
def test_what_a_server_may_send_is_decoded_as_it_was(frame: tuple[Any, ...]) -> None:
    check_server(frame)
    out: list[Any] = []
    data = encode(frame)
    assert decode_server(data, FRAME_MAX, out) == len(data)
    assert out == [frame]


@given(sent=st.lists(CLIENT, max_size=6), cuts=st.lists(st.integers(0, 2000), max_size=12))
def test_frames_survive_any_pieces(sent: Sequence[tuple[Any, ...]], cuts: list[int]) -> None:
    data = b"".join(map(encode, sent))
    decoder = Decoder(decode_client, FRAME_MAX)
    got: list[Any] = []
    at = 0
    for cut in [*sorted(cuts), len(data)]:
        got += decoder.feed(data[at:cut])
        at = max(at, cut)
    assert got == list(sent)


@settings(max_examples=300)
@given(frame=CLIENT | SERVER, data=st.data())
def test_a_frame_with_a_byte_changed_is_judged_as_the_oracle_judges_it(
    frame: tuple[Any, ...], data: st.DataObject
) -> None:
    raw = bytearray(encode(frame))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    for decode, check in ((decode_client, check_client), (decode_server, check_server)):
        got, consumed, code = oracle.decoded_by(decode, bytes(raw), FRAME_MAX)
        expected, expected_consumed, expected_code = oracle.decode(bytes(raw), FRAME_MAX, check)
        assert (got, code) == (expected, expected_code)
        assert consumed in (None, expected_consumed)


@given(raw=st.binary(max_size=64))
def test_bytes_of_no_making_are_judged_as_the_oracle_judges_them(raw: bytes) -> None:
    framed = len(raw).to_bytes(4, "big") + raw
    for decode, check in ((decode_client, check_client), (decode_server, check_server)):
        for data in (raw, framed):
            assert (
                oracle.decoded_by(decode, data, FRAME_MAX)[0::2]
                == oracle.decode(data, FRAME_MAX, check)[0::2]
            )


@pytest.mark.parametrize("name", ["deliver", "accepted", "receipt", "confirm"])
@given(data=st.data())
def test_a_hot_encoder_writes_what_the_general_one_writes(name: str, data: st.DataObject) -> None:
    frame: Frame = next(frame for frame in SERVER_FRAMES if frame.name == name)
    values = data.draw(values_of(frame.array))
    assert getattr(hot, f"encode_{name}")(*values[1:]) == encode(values)
