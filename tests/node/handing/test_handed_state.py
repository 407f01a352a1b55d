"""What one process hands to the next, as bytes between two releases."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from node.handing import state
from node.handing.state import FORMAT, FORMATS_READ, Gap, Handed, HandedListener, HandedSend, HandedSession
from node.session import TALKING

numbers = st.integers(1, (1 << 53) - 1)
sends = st.builds(
    HandedSend, recipient=numbers, n=numbers, base=numbers, body=st.none() | st.binary(max_size=40)
)
gaps = st.builds(Gap, recipient=numbers, n=numbers)


def session_of(kept: list[HandedSend], back: list[Gap], login: tuple[int, int]) -> HandedSession:
    return HandedSession(
        address="10.0.0.1", phase=TALKING, user=15551230001, stream=bytes(8), nonce=b"n", pinged=False,
        paid_until=1.5, inbox=b"\x00", outbox=b"secret words", strict=False, patience=60, idle_s=1, left_s=2,
        login=login, kept=tuple(kept), back=tuple(back),
    )  # fmt: skip


@given(st.lists(sends, max_size=4), st.lists(gaps, max_size=3), st.tuples(numbers, numbers))
def test_what_a_member_hands_over_comes_out_as_it_went_in(
    kept: list[HandedSend], back: list[Gap], login: tuple[int, int]
) -> None:
    handed = Handed(
        logins=7,
        listeners=(HandedListener(name="plain"),),
        sessions=(session_of(kept, back, login),),
        member=True,
        tickets=12,
    )
    assert state.decode(state.encode(handed)) == handed


def test_a_release_that_knew_no_members_is_understood_and_understands() -> None:
    assert FORMAT in FORMATS_READ
    handed = Handed(logins=1, sessions=(session_of([], [], (0, 0)),))
    said = msgspec.msgpack.decode(state.encode(handed))
    for name in ("member", "tickets"):
        del said[name]
    for name in ("login", "kept", "back"):
        del said["sessions"][0][name]
    assert state.decode(msgspec.msgpack.encode(said)) == handed


def test_nothing_that_phones_said_is_shown() -> None:
    send = HandedSend(recipient=1, n=1, base=1, body=b"secret words")
    assert "secret" not in repr(Handed(logins=1, sessions=(session_of([send], [], (1, 1)),)))
