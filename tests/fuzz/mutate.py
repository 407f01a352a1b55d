"""Frames made wrong: `mutated(side, seed)` yields bytes without end, to be fed to a decoder, a session or a socket.

Each item is what a hostile or broken peer might write at once: one frame with its length, damaged by one to three
mutations, or now and then left whole. The same seed yields the same bytes. Some mutations work on the bytes, some
on the frame's members, where they put what the schema, or CBOR as this protocol allows it, has no place for.
"""

from collections.abc import Callable, Iterator
from random import Random

import cbor2

from node.wire.limits import FRAME_MAX, HEADER_SIZE
from tests.fuzz.frames import random_frame, random_whole

ITEM_MAX = 2 * FRAME_MAX
"""No item is longer."""

_WHOLE_ODDS = 12
_MUTATIONS_MAX = 3
_DEEPEST = 20_000

Members = list[bytes]
Damage = Callable[[bytes, Random], bytes]
Misfit = Callable[[Members, Random], None]

HOSTILE: tuple[bytes, ...] = tuple(
    bytes.fromhex(item)
    for item in (
        # tags: dates, bignums, fractions, shared references, sets, self-described CBOR, one unknown
        "c074323031332d30332d32315432303a30343a30305a", "c11a514b67b0", "c249010000000000000000", "c34105",
        "c48221196ab3", "d81c80", "d81d00", "d9010280", "d90102820101", "d9d9f700", "d8238160",
        "d82550" + "00" * 16, "dbffffffffffffffff00",
        # indefinite lengths, and the break that should end them
        "5fff", "5f4101ff", "7fff", "7f6161ff", "9fff", "9f01ff", "bfff", "bf0102ff", "ff",
        # floats, undefined, simple values, reserved heads
        "f90000", "f97e00", "fa47c35000", "fb3ff199999999999a", "fb7ff0000000000000", "f7", "e0", "f3", "f800", "f8ff",
        "1c", "3f", "5c", "7d", "9e", "bc", "fc",
        # negative numbers, maps, one with a key twice
        "20", "3863", "3bffffffffffffffff", "a0", "a10102", "a201020103", "a1a0a0", "bb0000000000000000",
        # claims of more than there is
        "5affffffff", "5b7fffffffffffffff", "5bffffffffffffffff", "7bffffffffffffffff", "9affffffff",
        "9b00000000ffffffff", "9bffffffffffffffff", "bbffffffffffffffff", "59ffff", "98ff",
        # heads longer than they need be, numbers just beyond a range, text that isn't UTF-8
        "1800", "190001", "1a00000001", "1b0000000000000001", "5800", "590000", "7800", "9800", "1b0020000000000000",
        "1bffffffffffffffff", "1b00038d7ea4c68000", "61ff", "62c080", "63eda080", "f4", "f5", "f6", "80", "8180",
    )
)  # fmt: skip
"""Single encoded items that no member of a frame may be, or hardly any."""


def mutated(side: str, seed: int) -> Iterator[bytes]:
    """Items for `side` ("client": as a client would write them) from a seed, without end."""
    random = Random(seed)
    while True:
        item = _item(side, random)
        assert len(item) <= ITEM_MAX
        yield item


def _item(side: str, random: Random) -> bytes:
    frame = random_frame(side, random)
    if random.randrange(_WHOLE_ODDS) == 0:
        return framed(cbor2.dumps(frame))
    members = [cbor2.dumps(member) for member in frame]
    if random.random() < 0.5:
        for _ in range(random.randint(1, _MUTATIONS_MAX)):
            random.choice(MISFITS)(members, random)
        return framed(_head(len(members)) + b"".join(members))[:ITEM_MAX]
    item = framed(_head(len(members)) + b"".join(members))
    for _ in range(random.randint(1, _MUTATIONS_MAX)):
        item = random.choice(DAMAGES)(item, random)
    if random.random() < 0.1:
        item += framed(cbor2.dumps(random_frame(side, random)))
    return item[:ITEM_MAX]


def framed(payload: bytes) -> bytes:
    return len(payload).to_bytes(HEADER_SIZE, "big") + payload


def _head(count: int) -> bytes:
    return cbor2.dumps([None] * count)[: -count or None]


# ---- damages: any bytes to other bytes ----


def flip_bits(item: bytes, random: Random) -> bytes:
    raw = bytearray(item)
    for _ in range(random.randint(1, 4)):
        if raw:
            raw[random.randrange(len(raw))] ^= 1 << random.randrange(8)
    return bytes(raw)


def flip_a_bit_of_the_payload(item: bytes, random: Random) -> bytes:
    if len(item) <= HEADER_SIZE:
        return item
    raw = bytearray(item)
    raw[random.randrange(HEADER_SIZE, min(len(raw), HEADER_SIZE + 40))] ^= 1 << random.randrange(8)
    return bytes(raw)


def set_bytes(item: bytes, random: Random) -> bytes:
    at = random.randrange(len(item) + 1)
    return item[:at] + random.randbytes(random.randint(1, 8)) + item[at + 4 :]


def delete_a_span(item: bytes, random: Random) -> bytes:
    at = random.randrange(len(item) + 1)
    return item[:at] + item[at + random.randint(1, 12) :]


def insert_a_span(item: bytes, random: Random) -> bytes:
    at = random.randrange(len(item) + 1)
    return item[:at] + random.randbytes(random.randint(1, 12)) + item[at:]


def repeat_a_span(item: bytes, random: Random) -> bytes:
    at = random.randrange(len(item) + 1)
    return item[:at] + item[at : at + 20] * random.randint(1, 9) + item[at:]


def truncate(item: bytes, random: Random) -> bytes:
    return item[: random.randrange(len(item) + 1)]


def truncate_and_say_so(item: bytes, random: Random) -> bytes:
    return framed(truncate(item[HEADER_SIZE:], random))


def append_and_say_so(item: bytes, random: Random) -> bytes:
    return framed(item[HEADER_SIZE:] + random.randbytes(random.randint(1, 8)))


def change_the_length(item: bytes, random: Random) -> bytes:
    size = int.from_bytes(item[:HEADER_SIZE], "big") + random.choice((-9, -2, -1, 1, 2, 9))
    return (size % 2**32).to_bytes(HEADER_SIZE, "big") + item[HEADER_SIZE:]


def claim_any_length(item: bytes, random: Random) -> bytes:
    size = random.choice((0, 1, FRAME_MAX, FRAME_MAX + 1, 2**31, 2**32 - 1, random.getrandbits(32)))
    return size.to_bytes(HEADER_SIZE, "big") + item[HEADER_SIZE:]


def splice(item: bytes, random: Random) -> bytes:
    other = framed(cbor2.dumps(random_frame(random.choice(("client", "server")), random)))
    return item[: random.randrange(len(item) + 1)] + other[random.randrange(len(other)) :]


def insert_something_hostile(item: bytes, random: Random) -> bytes:
    at = random.randrange(min(HEADER_SIZE, len(item)), len(item) + 1)
    return framed(item[HEADER_SIZE:at] + random.choice(HOSTILE) + item[at:])


def widen_the_array(item: bytes, random: Random) -> bytes:
    """The head of the frame's array, longer than it need be, or of another count."""
    first = item[HEADER_SIZE] if len(item) > HEADER_SIZE else 0x80
    count = first & 0x1F
    heads = (
        (0x98, count),
        (0x99, 0, count),
        (0x9A, 0, 0, 0, count),
        (0x9F,),
        (first ^ 1,),
        (random.getrandbits(8),),
    )
    return framed(bytes(random.choice(heads)) + item[HEADER_SIZE + 1 :])


def nothing_but_nesting(item: bytes, random: Random) -> bytes:
    opening = random.choice((b"\x81", b"\x9f", b"\xc1", b"\xa1", b"\xa1\x01", b"\xd8\x1c", b"\x82\x01"))
    return framed(opening * random.choice((1, 7, 8, 9, 100, _DEEPEST)) + random.choice(HOSTILE))


# ---- misfits: a frame's encoded members to others ----


def put_something_hostile(members: Members, random: Random) -> None:
    members[random.randrange(len(members))] = random.choice(HOSTILE)


def put_a_hostile_end(members: Members, random: Random) -> None:
    members[-1] = random.choice(HOSTILE)


def wrap_in_a_tag(members: Members, random: Random) -> None:
    at = random.randrange(len(members))
    members[at] = (
        cbor2.dumps(cbor2.CBORTag(random.choice((0, 1, 2, 24, 28, 258, 55799, 2**32)), 0))[:-1] + members[at]
    )


def wrap_in_arrays(members: Members, random: Random) -> None:
    at = random.randrange(len(members))
    members[at] = b"\x81" * random.choice((1, 6, 7, 8, 9, 50)) + members[at]


def put_another_number(members: Members, random: Random) -> None:
    members[random.randrange(len(members))] = cbor2.dumps(random_whole(0, 2**64 - 1, random))


def put_another_string(members: Members, random: Random) -> None:
    size = random.choice((0, 1, 7, 8, 9, 23, 24, 31, 32, 33, 63, 64, 65, 200, 201, 255, 256))
    members[random.randrange(len(members))] = cbor2.dumps(random.choice((b"b" * size, "t" * size)))


def put_a_string_too_long(members: Members, random: Random) -> None:
    if random.randrange(20) == 0:
        members[-1] = cbor2.dumps(bytes(random.choice((61_440, 61_441, 65_535))))


def swap_members(members: Members, random: Random) -> None:
    one, other = random.randrange(len(members)), random.randrange(len(members))
    members[one], members[other] = members[other], members[one]


def drop_a_member(members: Members, random: Random) -> None:
    if len(members) > 1:
        del members[random.randrange(len(members))]


def add_a_member(members: Members, random: Random) -> None:
    members.insert(
        random.randrange(len(members) + 1), random.choice((random.choice(members), random.choice(HOSTILE)))
    )


def change_the_verb(members: Members, random: Random) -> None:
    members[0] = cbor2.dumps(random.randrange(30))


DAMAGES: tuple[Damage, ...] = (
    flip_bits,
    flip_a_bit_of_the_payload,
    set_bytes,
    delete_a_span,
    insert_a_span,
    repeat_a_span,
    truncate,
    truncate_and_say_so,
    append_and_say_so,
    change_the_length,
    claim_any_length,
    splice,
    insert_something_hostile,
    widen_the_array,
    nothing_but_nesting,
)

MISFITS: tuple[Misfit, ...] = (
    put_something_hostile,
    put_a_hostile_end,
    wrap_in_a_tag,
    wrap_in_arrays,
    put_another_number,
    put_another_string,
    put_a_string_too_long,
    swap_members,
    drop_a_member,
    add_a_member,
    change_the_verb,
)
