"""What small schemas accept and reject, by the checker of values and by the reader of bytes alike."""

from functools import cache
from typing import Any

import cbor2
import pytest

from node.wire.codec import decode_with
from node.wire.compiler import compile_schema
from node.wire.errors import MALFORMED, WireError

LIMIT = 65536


@cache
def compiled(notation: str) -> dict[str, Any]:
    """The generated module of a schema whose one frame is [1, v: notation]; `pair` is a rule of it."""
    source = f"client-frame = x\nserver-frame = x\nx = [1, v: {notation}]"
    if "pair" in notation:
        source += "\npair = [bool, 0..9]"
    module: dict[str, Any] = {}
    exec(compile_schema(source), module)
    return module


def checker_takes(notation: str, value: Any) -> bool:
    try:
        compiled(notation)["check_x"]([1, value])
    except WireError as error:
        if error.code != MALFORMED:
            raise
        return False
    return True


def read(notation: str, payload: bytes) -> Any:
    """The frame that the generated reader makes of the bytes, or None."""
    frames: list[Any] = []
    framed = len(payload).to_bytes(4, "big") + payload
    try:
        decode_with(compiled(notation)["CLIENT_READERS"], framed, LIMIT, frames)
    except WireError as error:
        if error.code != MALFORMED:
            raise
        return None
    (frame,) = frames
    return frame


def as_tuples(value: Any) -> Any:
    return tuple(map(as_tuples, value)) if isinstance(value, list | tuple) else value


PAIR_OR_NULL = "null / pair"
OF_LITERALS = "[1, bool] / [2, tstr .size (0..9)] / [24, null] / [300, 0..9]"
OF_LENGTHS = "[bool] / [bool, bool] / bstr .size 2 / 0..9"
MIXED = "bool / 5..600 / bstr .size (1..3) / tstr .size (1..3) / [*2 0..9] / null"

ACCEPTED: list[tuple[str, list[Any]]] = [
    ("7", [7]),
    ("24", [24]),
    ("70000", [70000]),
    ("0..0", [0]),
    ("0..23", [0, 1, 22, 23]),
    ("0..24", [0, 23, 24]),
    ("1..255", [1, 23, 24, 255]),
    ("0..65535", [0, 255, 256, 65535]),
    ("23..24", [23, 24]),
    ("24..24", [24]),
    ("25..300", [25, 255, 256, 300]),
    ("256..65536", [256, 65535, 65536]),
    ("70000..4294967296", [70000, 2**32 - 1, 2**32]),
    ("4294967296..9007199254740991", [2**32, 2**53 - 1]),
    ("0..18446744073709551615", [0, 2**32 - 1, 2**32, 2**63, 2**64 - 1]),
    ("bool", [True, False]),
    ("null", [None]),
    ("bstr .size 0", [b""]),
    ("bstr .size 8", [bytes(8), b"\xff" * 8]),
    ("bstr .size 24", [bytes(24)]),
    ("bstr .size 300", [bytes(300)]),
    ("bstr .size (0..3)", [b"", b"a", b"abc"]),
    ("bstr .size (2..30)", [b"ab", bytes(23), bytes(24), bytes(30)]),
    ("bstr .size (24..300)", [bytes(24), bytes(255), bytes(256), bytes(300)]),
    ("bstr .size (256..61440)", [bytes(256), bytes(61440)]),
    ("tstr .size 3", ["abc", "aé", "€"]),
    ("tstr .size (0..200)", ["", "a" * 23, "a" * 24, "é" * 100, "\x00", "\U0010ffff"]),
    ("tstr .size (1..300)", ["a" * 255, "a" * 256, "€" * 100]),
    ("[bool]", [[True], (False,)]),
    ("[1..3, bstr .size 2, [null]]", [[2, b"ab", [None]], (2, b"ab", (None,))]),
    ("[*3 bool]", [[], [True], [True, False, True], (True, False)]),
    ("[*3 0..300]", [[], [0, 24, 300]]),
    ("[*2 [*2 tstr .size (1..2)]]", [[], [[], []], [["a"], ["a", "bc"]]]),
    ("[*30 null]", [[None] * n for n in (0, 23, 24, 30)]),
    ("[*300 pair]", [[], [[True, 9]] * 2, [[False, 0]] * 256, [[False, 0]] * 300]),
    (PAIR_OR_NULL, [None, [True, 0], (False, 9)]),
    ("pair / null", [None, [True, 0]]),
    (OF_LITERALS, [[1, True], [2, "two"], [24, None], [300, 9]]),
    (OF_LENGTHS, [[True], [True, False], b"ab", 0, 9]),
    (MIXED, [True, False, 5, 24, 600, b"a", b"abc", "a", "abc", [], [9, 9], None]),
    ("[[null / [1, bool]], [*2 null / 0..9]]", [[[None], [None, 3]], [[[1, True]], []]]),
]

REJECTED: list[tuple[str, list[Any]]] = [
    ("7", [0, 6, 8, -7, 7.0, True, "7", b"7", None, [7]]),
    ("1", [True, 1.0, 0]),
    ("0", [False, None, 0.0, 1]),
    ("24", [23, 25, 0]),
    ("70000", [69999, 70001, 70000.0]),
    ("0..23", [-1, 24, 256, True, False, None, 0.0, 1.5, "1", b"1", [], [1], {}, {1: 1}]),
    ("0..24", [25, 255]),
    ("1..255", [0, -1, 256, True, 255.0]),
    ("0..65535", [65536, -1]),
    ("23..24", [22, 25]),
    ("24..24", [23, 25]),
    ("25..300", [0, 23, 24, 301, 65535]),
    ("256..65536", [255, 65537, 0]),
    ("70000..4294967296", [69999, 65535, 2**32 + 1]),
    ("4294967296..9007199254740991", [2**32 - 1, 2**53, 2**64, 2.0**40]),
    ("0..18446744073709551615", [-1, 2**64, 1e3, True]),
    ("bool", [0, 1, None, "true", b"\x01", [True], 1.0, cbor2.undefined, cbor2.CBORSimpleValue(19)]),
    ("null", [False, 0, "", b"", [], cbor2.undefined]),
    ("bstr .size 0", [b"a", "", None]),
    ("bstr .size 8", [b"", bytes(7), bytes(9), "a" * 8, [0] * 8, 8, None]),
    ("bstr .size 24", [bytes(23), bytes(25)]),
    ("bstr .size 300", [bytes(299), bytes(301), bytes(44)]),
    ("bstr .size (0..3)", [bytes(4), "abc", None, True, 3]),
    ("bstr .size (2..30)", [b"", b"a", bytes(31), bytes(256)]),
    ("bstr .size (24..300)", [bytes(23), bytes(301), b""]),
    ("bstr .size (256..61440)", [bytes(255), bytes(61441), b""]),
    ("tstr .size 3", ["ab", "abcd", "éé", "€a", b"abc", None, ["abc"]]),
    ("tstr .size (0..200)", ["a" * 201, "é" * 101, b"", 0, "\ud800"]),
    ("tstr .size (1..300)", ["", "a" * 301, "€" * 101]),
    ("[bool]", [[], [True, False], [1], [None], True, None, {}, {0: True}, b"\xf5", "x"]),
    ("[1..3, bstr .size 2, [null]]", [[2, b"ab", []], [2, b"ab", None], [2, b"ab"], [2, b"ab", [None], 1]]),
    ("[1..3, bstr .size 2, [null]]", [[4, b"ab", [None]], [2, "ab", [None]], [True, b"ab", [None]]]),
    ("[*3 bool]", [[True] * 4, [True, 1], [1], [True, None, True], True, None, {}, "abc", b"abc"]),
    ("[*3 0..300]", [[0, 301], [True], [0, 1, 2, 3], [0, "1"], [[0]], [1.0]]),
    ("[*2 [*2 tstr .size (1..2)]]", [[[""]], [["a", "b", "c"]], [[], [], []], ["a"], [[["a"]]], [["abc"]]]),
    ("[*30 null]", [[None] * 31, [None] * 29 + [False]]),
    ("[*300 pair]", [[[True, 9]] * 301, [[True, 9], [True, 10]], [[True]], [True, 9], [[9, True]]]),
    (PAIR_OR_NULL, [False, [], [True], [True, 10], [1, 1], [True, 0, 0], [None], 0, {}, "null"]),
    ("pair / null", [0, [True]]),
    (
        OF_LITERALS,
        [[1, None], [2, True], [24, False], [300, 10], [3, True], [True, True], [1], [], None, [1.0, True]],
    ),
    (OF_LENGTHS, [[], [True, True, True], [1], [True, 1], b"a", b"abc", 10, True, None, "ab"]),
    (MIXED, [4, 601, b"", b"abcd", "", "abcd", [1, 2, 3], [10], [True], 5.5, {}, [[1]]]),
    (
        "[[null / [1, bool]], [*2 null / 0..9]]",
        [[[None], [None] * 3], [[True], []], [[[1, 1]], []], [[None], [True]]],
    ),
]

BYTES_REJECTED: list[tuple[str, list[str]]] = [
    # heads that aren't the shortest (RFC 8949, section 4.2.1)
    ("0..18446744073709551615", ["1800", "1817", "190000", "1900ff", "1a0000ffff", "1b00000000ffffffff"]),
    (
        "bstr .size (0..300)",
        ["5800", "581761616161616161616161616161616161616161616161", "590001aa", "5a00000001aa"],
    ),
    ("tstr .size (0..300)", ["7800", "780161", "79000161", "7a0000000161", "7b000000000000000161"]),
    ("[*300 bool]", ["9800", "9801f5", "990001f5", "9a00000001f5", "9b0000000000000001f5"]),
    ("bstr .size 8", ["58080000000000000000", "5900080000000000000000"]),
    ("[bool]", ["9801f5", "990001f5"]),
    # reserved and indefinite lengths, tags, and what isn't in the model at all
    (
        "0..18446744073709551615",
        ["1c", "1d", "1e", "1f", "c105", "c24105", "d9d9f705", "20", "3bffffffffffffffff"],
    ),
    (
        "0..18446744073709551615",
        ["f90000", "fa3f800000", "fb3ff0000000000000", "f7", "f0", "f8ff", "ff", "a0", "00" * 2],
    ),
    ("bool", ["f814", "f815", "f6", "f7", "f3", "c1f5", "f5f5", "00", ""]),
    ("null", ["f7", "f816", "c0f6", "80", "ff"]),
    ("bstr .size (0..9)", ["5f4161ff", "5fff", "c24100", "d8184100", "6161", "5c", "5d", "5e", "5f"]),
    ("tstr .size (0..9)", ["7f6161ff", "7fff", "c06161", "4161", "7c", "7d", "7e", "7f"]),
    ("[*3 bool]", ["9ff5ff", "9fff", "d9010281f5", "a1f5f5", "bff5f5ff", "9c", "9d", "9e", "9f"]),
    ("[bool]", ["9ff5ff", "c181f5", "d81c81f5"]),
    (PAIR_OR_NULL, ["9ff500ff", "f7", "d81d00", "c182f500"]),
    (OF_LITERALS, ["82180100", "821801f5", "82c101f5", "8218", "82", "8219012c0a"]),
    # too short, and too long
    ("bstr .size 8", ["48", "4800000000000000", "48000000000000000000", "4700000000000000"]),
    ("bstr .size (0..300)", ["41", "58", "5818", "59", "5901", "590100", "5901ff", "4100aa"]),
    ("tstr .size (0..300)", ["61", "78", "7818", "79", "7901", "790100"]),
    ("tstr .size (0..300)", ["61ff", "62c080", "63eda080", "64f4908080", "61c3", "62c328"]),
    ("0..18446744073709551615", ["", "18", "19", "1901", "1a", "1a010000", "1b", "1b01000000000000"]),
    (
        "[*300 bool]",
        ["81", "82f5", "80f5", "98", "9818", "99", "9901", "9b7fffffffffffffff", "9bffffffffffffffff"],
    ),
    ("[bool, bool]", ["82", "82f5", "82f5f5f5", "81f5"]),
]


@pytest.mark.parametrize(("notation", "value"), [(n, v) for n, values in ACCEPTED for v in values], ids=repr)
def test_accepted(notation: str, value: Any) -> None:
    assert checker_takes(notation, value)
    assert read(notation, cbor2.dumps([1, value])) == (1, as_tuples(value))


@pytest.mark.parametrize(("notation", "value"), [(n, v) for n, values in REJECTED for v in values], ids=repr)
def test_rejected(notation: str, value: Any) -> None:
    assert not checker_takes(notation, value)
    if value != "\ud800":  # has no encoding; the bytes that come nearest are among those below
        assert read(notation, cbor2.dumps([1, value])) is None


@pytest.mark.parametrize(("notation", "encoded"), [(n, e) for n, rows in BYTES_REJECTED for e in rows])
def test_bytes_that_no_value_has_are_rejected(notation: str, encoded: str) -> None:
    assert read(notation, b"\x82\x01" + bytes.fromhex(encoded)) is None


@pytest.mark.parametrize(
    "payload", ["", "82", "8201", "8101", "8301f5f5", "9f01f5ff", "a101f5", "01", "f6", "8202f5"]
)
def test_what_is_no_frame_of_this_side_is_rejected(payload: str) -> None:
    assert read("bool", bytes.fromhex(payload)) is None
    assert read("bool", bytes.fromhex("8201f5")) == (1, True)


def test_a_reader_does_not_take_bytes_of_the_next_frame() -> None:
    """The first frame lacks its last byte; the next one's length stands there and could pass for it."""
    for notation, cut in (("0..255", "8201"), ("bstr .size (0..9)", "820141"), ("bool", "8201")):
        first = bytes.fromhex(cut)
        following = bytes.fromhex("8201f5")
        data = len(first).to_bytes(4, "big") + first + len(following).to_bytes(4, "big") + following
        frames: list[Any] = []
        with pytest.raises(WireError):
            decode_with(compiled(notation)["CLIENT_READERS"], data, LIMIT, frames)
        assert frames == []


@pytest.mark.parametrize("verb", [0, 23, 24, 25, 255])
def test_verbs_of_one_and_two_bytes_are_dispatched(verb: int) -> None:
    source = (
        "client-frame = x / y / z\nserver-frame = x / y / z\nx = [{}, bool]\ny = [30, null]\nz = [5, 0..9]"
    )
    module: dict[str, Any] = {}
    exec(compile_schema(source.format(verb)), module)
    for frame in ((verb, True), (30, None), (5, 9)):
        payload = cbor2.dumps(frame)
        frames: list[Any] = []
        decode_with(module["CLIENT_READERS"], len(payload).to_bytes(4, "big") + payload, LIMIT, frames)
        assert frames == [frame]
    for wrong in ((verb + 1, True), (verb, None), (30, True), (24 if verb != 24 else 26, True)):
        payload = cbor2.dumps(wrong)
        with pytest.raises(WireError):
            decode_with(module["CLIENT_READERS"], len(payload).to_bytes(4, "big") + payload, LIMIT, frames)


def test_an_error_names_the_place_and_what_was_wanted_and_not_what_came() -> None:
    module = compiled("[*3 [n: 1..9, secret: tstr .size (1..9)]]")
    wrong = [1, [[1, "ok"], [2, "hidden-and-too-long"]]]
    with pytest.raises(WireError) as by_checker:
        module["check_x"](wrong)
    with pytest.raises(WireError) as by_reader:
        payload = cbor2.dumps(wrong)
        module["read_x"](payload, 0, len(payload))
    assert by_checker.value.text == "x: v[].secret must be text of 1..9 bytes"
    assert by_reader.value.text == "x: v[].secret must be text of 1..9 bytes, in its shortest form"
