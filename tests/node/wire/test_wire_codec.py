"""Framing: how bytes become frames whatever the pieces they come in, and what is refused as soon as it shows."""

import tracemalloc
from typing import Any

import pytest

from node.wire.codec import Decoder, decode_client, decode_server, encode
from node.wire.errors import MALFORMED, TOO_LARGE, WireError
from node.wire.limits import BODY_MAX, FRAME_MAX, FRAME_MAX_BEFORE_LOGIN, HEADER_SIZE
from tests.node.wire.examples import BOB, CLIENT, SERVER, STREAM

SEND = CLIENT["send"][0]
PING = CLIENT["ping"][0]
ALL = [frame for frame, _ in CLIENT.values()]


def test_every_whole_frame_is_taken_and_the_rest_is_left() -> None:
    data = b"".join(map(encode, ALL))
    for cut in range(len(data) + 1):
        frames: list[Any] = []
        consumed = decode_client(data[:cut], FRAME_MAX, frames)
        assert frames == ALL[: len(frames)]
        assert consumed == sum(len(encode(frame)) for frame in frames)
        assert cut - consumed < max(len(encode(frame)) for frame in ALL)
    assert frames == ALL


def test_frames_split_at_every_byte_are_the_same_frames() -> None:
    data = b"".join(map(encode, ALL))
    for cut in range(len(data) + 1):
        decoder = Decoder(decode_client, FRAME_MAX)
        assert decoder.feed(data[:cut]) + decoder.feed(data[cut:]) == ALL
        assert decoder.kept == 0


def test_a_byte_at_a_time() -> None:
    frames = [frame for frame, _ in SERVER.values()]
    decoder = Decoder(decode_server, FRAME_MAX)
    assert [
        frame for byte in b"".join(map(encode, frames)) for frame in decoder.feed(bytes((byte,)))
    ] == frames


def test_two_frames_in_one_feed() -> None:
    assert Decoder(decode_client, FRAME_MAX).feed(encode(SEND) + encode(PING)) == [SEND, PING]


def test_nothing_fed_is_nothing() -> None:
    decoder = Decoder(decode_client, FRAME_MAX)
    assert decoder.feed(b"") == []
    assert decode_client(b"", FRAME_MAX, []) == 0


def test_the_output_is_appended_to() -> None:
    frames: list[Any] = ["before"]
    decode_client(encode(PING), FRAME_MAX, frames)
    assert frames == ["before", PING]


@pytest.mark.parametrize("size", [FRAME_MAX + 1, 2**31, 2**32 - 1])
def test_a_frame_too_long_is_refused_from_its_length_alone(size: int) -> None:
    header = size.to_bytes(HEADER_SIZE, "big")
    assert decode_client(header[:3], FRAME_MAX, []) == 0
    with pytest.raises(WireError) as caught:
        decode_client(header, FRAME_MAX, [])
    assert caught.value.code == TOO_LARGE
    assert str(size) in caught.value.text
    decoder = Decoder(decode_client, FRAME_MAX)
    assert decoder.feed(header[:3]) == []
    with pytest.raises(WireError, match="too_large"):
        decoder.feed(header[3:])
    assert decoder.kept == 0


def test_the_limit_is_the_frame_without_its_length() -> None:
    frame = (*SEND[:5], bytes(4000))
    encoded = encode(frame)
    frames: list[Any] = []
    assert decode_client(encoded, len(encoded) - HEADER_SIZE, frames) == len(encoded)
    assert frames == [frame]
    with pytest.raises(WireError, match="too_large"):
        decode_client(encoded, len(encoded) - HEADER_SIZE - 1, [])


def test_the_limit_before_login_holds_until_it_is_raised() -> None:
    long = encode((*SEND[:5], bytes(FRAME_MAX_BEFORE_LOGIN)))
    with pytest.raises(WireError, match="too_large"):
        Decoder(decode_client, FRAME_MAX_BEFORE_LOGIN).feed(long)
    decoder = Decoder(decode_client, FRAME_MAX_BEFORE_LOGIN)
    assert decoder.feed(encode(PING)) == [PING]
    decoder.limit = FRAME_MAX
    assert decoder.feed(long) == [(*SEND[:5], bytes(FRAME_MAX_BEFORE_LOGIN))]


def test_the_largest_frame_that_the_schema_allows_passes() -> None:
    frame = (14, 999_999_999_999_999, STREAM, 2**53 - 1, 1, 2**53 - 1, bytes(BODY_MAX))
    assert Decoder(decode_server, FRAME_MAX).feed(encode(frame)) == [frame]


@pytest.mark.parametrize(
    "payload", ["", "80", "00", "14", "83", "f6", "8314", "ffffffff", "9f14f400ff", "a0"]
)
def test_a_payload_that_is_no_frame_is_malformed(payload: str) -> None:
    raw = bytes.fromhex(payload)
    for following in (b"", encode(PING)):
        frames: list[Any] = []
        with pytest.raises(WireError) as caught:
            decode_client(encode(PING) + len(raw).to_bytes(4, "big") + raw + following, FRAME_MAX, frames)
        assert caught.value.code == MALFORMED
        assert frames == [PING]


def test_bytes_after_the_array_are_refused() -> None:
    payload = encode(PING)[HEADER_SIZE:]
    for more in (b"\x00", b"\xf6", payload):
        longer = payload + more
        with pytest.raises(WireError, match="too early or too late"):
            decode_client(len(longer).to_bytes(4, "big") + longer, FRAME_MAX, [])


def test_a_length_too_short_by_any_count_is_refused() -> None:
    payload = encode(SEND)[HEADER_SIZE:]
    for size in range(len(payload)):
        with pytest.raises(WireError) as caught:
            decode_client(size.to_bytes(4, "big") + payload + encode(PING), FRAME_MAX, [])
        assert caught.value.code == MALFORMED


def test_good_frames_before_a_bad_one_come_first_and_the_error_stays() -> None:
    decoder = Decoder(decode_client, FRAME_MAX)
    assert decoder.feed(encode(SEND) + b"\x00\x00\x00\x01\xff" + encode(PING)) == [SEND]
    for _ in range(2):
        with pytest.raises(WireError, match="malformed"):
            decoder.feed(encode(PING))
    assert decoder.kept == 0


def test_a_decoder_keeps_one_frame_at_most() -> None:
    decoder = Decoder(decode_client, FRAME_MAX)
    data = encode((*SEND[:5], bytes(BODY_MAX))) * 3
    for at in range(0, len(data), 1000):
        decoder.feed(data[at : at + 1000])
        assert decoder.kept <= HEADER_SIZE + FRAME_MAX


@pytest.mark.parametrize(
    "payload",
    [
        "850a9bffffffffffffffff",  # an array that claims 2**64 - 1 elements
        "860a1b000000039eecf0325bffffffffffffffff",  # a byte string that claims as many bytes
        "860a1b000000039eecf03248010203040506070801015affffffff",
        "850101019affffffff",
        "850101019b7fffffffffffffff",
        "85010101817affffffff",
        "85010101" + "81" * 60_000,  # depth
        "85010101" + "c1" * 60_000,  # tags within tags
        "9f" * 60_000,
        "bb7fffffffffffffff",
    ],
)
def test_what_a_frame_claims_costs_no_memory(payload: str) -> None:
    raw = bytes.fromhex(payload)
    data = len(raw).to_bytes(4, "big") + raw
    tracemalloc.start()
    try:
        with pytest.raises(WireError) as caught:
            decode_client(data, FRAME_MAX, [])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert caught.value.code == MALFORMED
    assert peak < 64 * 1024


def test_an_error_never_carries_what_was_received() -> None:
    secret = "771" * 5
    for frame in ((3, BOB, secret, bytes(32), STREAM), (3, BOB, "123456", secret.encode(), STREAM)):
        with pytest.raises(WireError) as caught:
            decode_client(encode(frame), FRAME_MAX, [])
        assert secret not in repr(caught.value) + str(caught.value)
