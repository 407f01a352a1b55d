"""The protocol's own frames: what each side may send, to the edge of every range, and what it may not."""

from collections.abc import Iterator
from typing import Any

import pytest

from node.wire.codec import check_client, check_server, decode_client, decode_server, encode
from node.wire.errors import MALFORMED, WireError
from node.wire.limits import BODY_MAX, FRAME_MAX, NUMBER_MAX, USER_MAX
from tests.node.wire import examples
from tests.node.wire.examples import ALICE, STREAM

MILLIS_MAX = NUMBER_MAX
RETRY_MAX = 86_400_000


def takes(side: str, frame: Any) -> bool:
    """Whether the checker and the reader take it; they must agree. The reader's frame must be the one sent."""
    check, decode = (check_client, decode_client) if side == "client" else (check_server, decode_server)
    try:
        check(frame)
        by_checker = True
    except WireError as error:
        if error.code != MALFORMED:
            raise
        by_checker = False
    frames: list[Any] = []
    try:
        encoded = encode(frame)
        assert decode(encoded, FRAME_MAX, frames) == len(encoded)
        assert frames == [frame]
        by_reader = True
    except WireError as error:
        if error.code != MALFORMED:
            raise
        by_reader = False
    assert by_checker == by_reader
    return by_checker


@pytest.mark.parametrize("name", examples.CLIENT)
def test_the_vectors_of_the_client(name: str) -> None:
    frame, written = examples.CLIENT[name]
    _is_vector(frame, bytes.fromhex(written), decode_client)
    assert takes("client", frame)


@pytest.mark.parametrize("name", examples.SERVER)
def test_the_vectors_of_the_server(name: str) -> None:
    frame, written = examples.SERVER[name]
    _is_vector(frame, bytes.fromhex(written), decode_server)
    assert takes("server", frame)


def test_the_vector_of_an_error_about_the_whole_request() -> None:
    _is_vector((24, 1, "", 0, None), bytes.fromhex("85 18 18 01 60 00 f6"), decode_server)


def _is_vector(frame: tuple[Any, ...], payload: bytes, decode: Any) -> None:
    framed = len(payload).to_bytes(4, "big") + payload
    assert encode(frame) == framed
    assert encode(list(frame)) == framed
    frames: list[Any] = []
    assert decode(framed, FRAME_MAX, frames) == len(framed)
    assert frames == [frame]
    assert type(frames[0]) is tuple


def test_every_frame_has_an_example() -> None:
    from tests.node.wire.strategies import CLIENT_FRAMES, SERVER_FRAMES

    assert set(examples.CLIENT) == {frame.name for frame in CLIENT_FRAMES}
    assert set(examples.SERVER) == {frame.name for frame in SERVER_FRAMES}


def test_a_side_refuses_the_other_sides_frames() -> None:
    both = {"confirm", "ping", "bye"}
    for name, (frame, _) in examples.CLIENT.items():
        assert takes("server", frame) == (name in both)
    for name, (frame, _) in examples.SERVER.items():
        assert takes("client", frame) == (name in both)


# Of each rule: a member's place, values it may have and values it may not. What isn't named is as in the example.
USERS = (
    [1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, USER_MAX],
    [0, -1, USER_MAX + 1, True, 1.0, "1", None],
)
STREAMS = ([bytes(8), b"\xff" * 8], [b"", bytes(7), bytes(9), "12345678", 8, None, [0] * 8])
ORDINALS = ([1, 23, 24, 2**32, NUMBER_MAX], [0, -1, NUMBER_MAX + 1, 2**64, True, 1.0, "1", None, [1]])
COUNTS = ([0, 1, NUMBER_MAX], [-1, NUMBER_MAX + 1, False, 0.0, None])
RETRIES = ([0, 1, RETRY_MAX], [-1, RETRY_MAX + 1, True, None])
KINDS = ([1, 2, 3], [0, 4, True, None])
BODIES: tuple[list[Any], list[Any]] = (
    [b"", b"a", bytes(255), bytes(256), bytes(BODY_MAX)],
    [bytes(BODY_MAX + 1), "", None, 0, []],
)
CODES = ([0, 23, 24, 65535], [-1, 65536, True, None])
AGENTS = (["", "a" * 64, "é" * 32], ["a" * 65, "é" * 33, b"a", None, 1])
VERSIONS = ([1, 23, 24, 255], [0, 256, True, None])
FEATURES = (
    [(), ("a",), ("a" * 32,) * 32, ("é" * 16,)],
    [("",), ("a" * 33,), ("a",) * 33, ("a", 1), (b"a",), "a", None, (("a",),), ("a", None)],
)

CLIENT_MEMBERS: dict[str, list[tuple[list[Any], list[Any]]]] = {
    "client-hello": [VERSIONS, VERSIONS, FEATURES, AGENTS],
    "pin-request": [USERS],
    "register-request": [
        USERS,
        (["1234", "123456789012"], ["123", "1234567890123", 123456, b"123456", None]),
        ([bytes(32)], [bytes(31), bytes(33), b"", "a" * 32, None]),
        STREAMS,
    ],
    "login-request": [USERS, ([bytes(64)], [bytes(63), bytes(65), b"", "a" * 64, None])],
    "send": [USERS, STREAMS, ORDINALS, ORDINALS, BODIES],
    "skip": [USERS, STREAMS, ORDINALS, ORDINALS],
    "ack": [USERS, STREAMS, ORDINALS, ORDINALS],
    "read": [USERS, STREAMS, ORDINALS],
    "confirm": [USERS, STREAMS, KINDS, ORDINALS, ORDINALS],
    "ping": [([True, False], [0, 1, None]), ([0, 2**32 - 1], [-1, 2**32, True, None])],
    "bye": [CODES, RETRIES],
}

SERVER_MEMBERS: dict[str, list[tuple[list[Any], list[Any]]]] = {
    "server-hello": [
        VERSIONS,
        FEATURES,
        ([bytes(32)], [bytes(31), bytes(33), "", None]),
        ([4096, 65535, 65536], [0, 4095, 65537, True, None]),
        ([1, 1024], [0, 1025, True, None]),
        AGENTS,
    ],
    "pin-sent": [USERS, RETRIES, RETRIES],
    "registered": [USERS, ORDINALS],
    "welcome": [COUNTS, ORDINALS, COUNTS],
    "accepted": [USERS, STREAMS, ORDINALS, ORDINALS, ([0, 1, 2], [3, -1, True, None])],
    "gap": [USERS, STREAMS, COUNTS],
    "deliver": [
        USERS,
        STREAMS,
        ORDINALS,
        ([0, 1], [2, True, False]),
        ([0, MILLIS_MAX], [-1, MILLIS_MAX + 1]),
        BODIES,
    ],
    "receipt": [USERS, STREAMS, KINDS, ORDINALS, ORDINALS],
    "confirm": [USERS, STREAMS, KINDS, ORDINALS, ORDINALS],
    "ping": [([True, False], [0, 1, None]), ([0, 2**32 - 1], [-1, 2**32, True, None])],
    "busy": [USERS, STREAMS, ORDINALS, RETRIES],
    "moved": [(["a", "a" * 255], ["", "a" * 256, b"a", None]), ([1, 65535], [0, 65536, True, None])],
    "bye": [CODES, RETRIES],
    "error": [
        CODES,
        (["", "a" * 200, "é" * 100], ["a" * 201, "é" * 101, b"", None]),
        RETRIES,
        (
            [None, (1, STREAM, 1), (USER_MAX, STREAM, NUMBER_MAX)],
            [
                (),
                (1,),
                (1, STREAM),
                (1, STREAM, 1, 1),
                (0, STREAM, 1),
                (1, bytes(7), 1),
                (1, STREAM, 0),
                False,
                0,
                "",
                b"",
            ],
        ),
    ],
}


def _rows(
    side: str,
    members: dict[str, list[tuple[list[Any], list[Any]]]],
    frames: dict[str, tuple[tuple[Any, ...], str]],
) -> Iterator[Any]:
    for name, places in members.items():
        frame = frames[name][0]
        assert len(places) == len(frame) - 1
        for place, values in enumerate(places, 1):
            yield pytest.param(side, frame, place, values, id=f"{side}-{name}-{place}")


ROWS = [
    *_rows("client", CLIENT_MEMBERS, examples.CLIENT),
    *_rows("server", SERVER_MEMBERS, examples.SERVER),
]


@pytest.mark.parametrize(("side", "frame", "place", "values"), ROWS)
def test_every_member_to_the_edges_of_its_range(
    side: str, frame: tuple[Any, ...], place: int, values: tuple[list[Any], list[Any]]
) -> None:
    allowed, forbidden = values
    for value in allowed:
        assert takes(side, (*frame[:place], value, *frame[place + 1 :])), value
    for value in forbidden:
        assert not takes(side, (*frame[:place], value, *frame[place + 1 :])), value


@pytest.mark.parametrize("side", ["client", "server"])
def test_a_member_too_few_or_too_many_is_refused(side: str) -> None:
    for frame, _ in (examples.CLIENT if side == "client" else examples.SERVER).values():
        assert not takes(side, frame[:-1])
        assert not takes(side, (*frame, 0))
        assert not takes(side, (*frame, None))
        assert not takes(side, (*frame[:-1], (frame[-1],)))


@pytest.mark.parametrize(
    "frame",
    [
        (),
        (0,),
        (5, ALICE),
        (9,),
        (19,),
        (25, 1),
        (255,),
        (256,),
        (None,),
        ("send",),
        (-1,),
        (True, 1),
        (20.0, True, 1),
    ],
)
def test_what_has_no_verb_of_the_protocol_is_refused(frame: tuple[Any, ...]) -> None:
    assert not takes("client", frame)
    assert not takes("server", frame)


@pytest.mark.parametrize("value", [None, 20, "ping", b"ping", {}, {20: True}, {0: 20, 1: False, 2: 1}])
def test_what_is_no_array_is_refused(value: Any) -> None:
    for check in (check_client, check_server):
        with pytest.raises(WireError):
            check(value)
    for decode in (decode_client, decode_server):
        with pytest.raises(WireError):
            decode(encode(value), FRAME_MAX, [])
