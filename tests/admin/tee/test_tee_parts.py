"""What leaves a live node holds no body; who is in the share, and what is dropped, is as it is said."""

from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.tee import records, tap
from admin.tee.choice import is_chosen, limit_of
from admin.tee.figures import side_by_side
from admin.tee.records import NotRecords
from admin.tee.settings import JOINED_MAX, SHED_SHARE, ShadowSettings
from admin.tee.stripping import Stripper
from admin.tee.tap import CLOSED, OPENED, Counts, Tapping
from node.seen import TappedSession
from node.session import TALKING, Session
from node.wire import verbs
from node.wire.codec import decode_client, encode
from node.wire.errors import WireError
from node.wire.limits import FRAME_MAX
from tests.node.live import Device, Frame

ALICE, BOB = Device.of(1), Device.of(2)


def frames_of(data: bytes) -> list[Frame]:
    found: list[Frame] = []
    assert decode_client(data, FRAME_MAX, found) == len(data)
    return found


# ---- stripping ---------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=8))
@settings(max_examples=40)
def test_a_body_is_replaced_by_as_many_other_bytes_and_nothing_else_changes(bodies: list[bytes]) -> None:
    said = [(verbs.SEND, BOB.user, ALICE.stream, n + 1, 1, body) for n, body in enumerate(bodies)]
    stripper = Stripper(Counts())
    got = frames_of(stripper.strip(b"".join(map(encode, said)), set()))
    for n, (before, after) in enumerate(zip(said, got, strict=True)):
        assert after[:4] == before[:4]
        assert after[4] == (1 if n else before[3])
        assert len(after[5]) == len(before[5])
        if len(before[5]) > 8:
            assert after[5] != before[5]
    assert stripper.said == {verbs.SEND: len(bodies)}


def test_a_filler_is_of_the_message_and_not_of_its_body_and_other_in_every_tee() -> None:
    def filler(stripper: Stripper, n: int, body: bytes) -> bytes:
        (frame,) = frames_of(stripper.strip(encode(ALICE.send(BOB, n, body)), set()))
        return bytes(frame[5])

    one, other = Stripper(Counts()), Stripper(Counts())
    assert filler(one, 1, b"a" * 50) == filler(one, 1, b"b" * 50)
    assert filler(one, 1, b"a" * 50) != filler(one, 2, b"a" * 50)
    assert filler(one, 1, b"a" * 50) != filler(other, 1, b"a" * 50)
    assert len(filler(one, 10**15, b"x" * 61_000)) == 61_000


def test_what_could_hold_a_secret_is_left_out_and_what_is_no_frame_is_refused_whole() -> None:
    counts = Counts()
    stripper = Stripper(counts)
    ping = (verbs.PING, False, 5)
    secret = encode((verbs.REGISTER, ALICE.user, "123456", b"k" * 32, b"s" * 8))
    got = stripper.strip(encode(ping) + secret + encode(BOB.ack(ALICE, 1)), set())
    assert frames_of(got) == [ping, BOB.ack(ALICE, 1)]
    assert (counts.left_out, counts.frames) == (1, 2)
    with pytest.raises(WireError):
        stripper.strip(encode(ping) + b"\x00\x00\x00\x02\xff\xff", set())
    assert counts.frames == 2


def test_recipients_that_are_remembered_are_bounded() -> None:
    stripper, joined = Stripper(Counts()), set(range(JOINED_MAX))
    stripper.strip(encode(ALICE.send(BOB, 4, base=2)), joined)
    assert joined == {BOB.user}


# ---- the share ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.01, 0.05, 0.5])
def test_a_share_is_about_that_of_the_users_and_lies_in_every_larger_one(share: float) -> None:
    random = Random(1)
    users = [
        *range(15_551_000_000, 15_551_010_000),
        *(random.randrange(10**10, 10**12) for _ in range(10_000)),
    ]
    chosen = [user for user in users if is_chosen(user, limit_of(share))]
    assert len(chosen) == pytest.approx(share * len(users), rel=0.15)
    assert all(is_chosen(user, limit_of(min(1.0, share * 2))) for user in chosen)
    assert all(is_chosen(user, limit_of(1.0)) for user in users)


# ---- the buffer --------------------------------------------------------------------------------------


def talking(device: Device) -> Session:
    session = Session(5, "", b"")
    session.phase, session.user, session.stream = TALKING, device.user, device.stream
    return session


def drained(one: Tapping) -> list[bytes | None]:
    found = []
    while (entry := one.take()) is not None:
        found.append(entry[1])
    one.check()
    return found


def test_a_session_is_opened_with_its_first_words_and_closed_with_its_end() -> None:
    one = Tapping(1.0, Counts())
    session = talking(ALICE)
    one.received(session, b"nobody takes this")
    assert drained(one) == []
    one.active = True
    one.received(session, b"")
    one.received(session, b"a")
    one.received(session, b"b")
    one.closed(session)
    one.closed(talking(BOB))
    assert drained(one) == [OPENED, b"a", b"b", CLOSED]
    assert one.sessions == {}


def test_what_has_no_room_is_dropped_and_its_session_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "BUFFER_BYTES_MAX", 10)
    counts = Counts()
    one = Tapping(1.0, counts)
    one.active = True
    a, b = talking(ALICE), talking(BOB)
    one.received(a, b"12345678")
    one.received(a, b"too much")
    one.received(b, b"12")
    assert (counts.dropped, counts.dropped_bytes) == (1, 8)
    assert drained(one) == [OPENED, b"12345678", OPENED, b"12"]
    one.received(b, b"whole")
    one.received(a, b"again")
    assert drained(one) == [b"whole", CLOSED, OPENED, b"again"]
    assert one.peak_bytes == 10


def test_entries_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tap, "BUFFER_ENTRIES_MAX", 3)
    one = Tapping(1.0, Counts())
    one.active = True
    sessions = [talking(Device.of(i)) for i in range(20)]
    for session in sessions:
        one.received(session, b"x")
    for session in sessions:
        one.closed(session)
    assert len(one.buffer) <= 6
    one.stop()
    one.check()


def test_a_share_that_is_too_much_becomes_smaller_and_who_is_left_stays() -> None:
    one = Tapping(1.0, Counts())
    one.active = True
    sessions = [talking(Device.of(i)) for i in range(100)]
    for session in sessions:
        one.received(session, b"x")
    one.shrink()
    assert one.share == SHED_SHARE
    for session in sessions:
        one.let_go(session)
    kept = [session for session in sessions if session in one.sessions]
    assert 60 < len(kept) < 90
    assert all(
        type(session) is (TappedSession if session in one.sessions else Session) for session in sessions
    )
    assert drained(one).count(CLOSED) == 100 - len(kept)
    for session in sessions:
        one.received(session, b"y")
    assert drained(one) == [b"y"] * len(kept)


# ---- over the socket ---------------------------------------------------------------------------------


def test_records_come_out_as_they_went_in() -> None:
    message = (
        records.RECORDS
        + records.opened(7, 15551230001, b"12345678")
        + records.said(7, b"xyz")
        + records.closed(7)
    )
    got = list(records.read_records(message))
    assert [(kind, session) for kind, session, _ in got] == [
        (records.OPEN, 7),
        (records.SAID, 7),
        (records.CLOSED, 7),
    ]
    assert records.read_who(got[0][2]) == (15551230001, b"12345678")
    assert got[1][2] == b"xyz"


@given(st.binary(max_size=60))
@settings(max_examples=60)
def test_what_makes_no_sense_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with suppress(NotRecords):
        for kind, _, what in records.read_records(b"R" + data):
            if kind == records.OPEN:
                records.read_who(what)
    with suppress(NotRecords):
        records.read_hello(b"H" + data)


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(NotRecords, match="version 2"):
        records.read_hello(b'H{"version":2,"node":"","share":1}')
    assert records.read_hello(records.write_hello("ab", 0.5)).share == 0.5


def test_both_sides_stand_beside_each_other_by_groups() -> None:
    live = {"sessions": 2, "in.send": 5, "out.deliver": 1, "errors.busy": 1}
    shadow = {"sessions": 2, "in.send": 4, "in.ack": 1, "ends.gone": 1}
    assert [(row["figure"], row["live"], row["shadow"]) for row in side_by_side(live, shadow)] == [
        ("sessions", 2, 2),
        ("ends.gone", None, 1),
        ("in.send", 5, 4),
        ("in.ack", None, 1),
        ("out.deliver", 1, None),
        ("errors.busy", 1, None),
    ]


@pytest.mark.parametrize("wrong", [{"listen": "nowhere"}, {"allow": ("short",)}, {"allow": ("x" * 41,)}])
def test_settings_that_make_no_sense_are_refused_by_name(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"shadow.{next(iter(wrong))}"):
        ShadowSettings(**wrong)  # type: ignore[arg-type]
