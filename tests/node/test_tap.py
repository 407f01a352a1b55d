"""A tap sees what sessions say after login and are told while it is there, and leaves nothing behind."""

import pytest

from node import tapping, tracing
from node.seen import TappedSession, TracedAndTappedSession, TracedSession
from node.session import Session
from node.tracing import Trace
from node.wire import verbs
from node.wire.codec import decode_client, encode
from node.wire.limits import FRAME_MAX
from tests.node.live import Device, Frame, LiveNode


class Kept:
    """Attaches everybody, and remembers."""

    def __init__(self) -> None:
        self.came: list[int] = []
        self.said: list[Frame] = []
        self.told: list[int] = []
        self.gone: list[int] = []

    def welcomed(self, session: Session) -> None:
        self.came.append(session.user)

    def received(self, session: Session, data: bytes) -> None:
        assert decode_client(data, FRAME_MAX, self.said) == len(data)
        tapping.attach(session)

    def wrote(self, session: Session, data: bytes) -> None:
        self.told.append(data[5])

    def closed(self, session: Session) -> None:
        self.gone.append(session.user)


@pytest.fixture
def kept() -> Kept:
    return Kept()


async def test_it_sees_whole_frames_after_login_both_ways_and_ends(
    node: LiveNode, alice: Device, bob: Device, kept: Kept
) -> None:
    tapping.begin(node.service, kept)
    a, b = await node.login(alice), await node.login(bob)
    assert kept.came == [alice.user, bob.user]
    assert kept.said == []  # what comes before login may hold a PIN, a key or a signature
    first = encode(alice.send(bob, 1))
    await a.send_bytes(first[:7])
    await node.settle()
    await a.send_bytes(first[7:] + first[:3])
    await b.next()
    await b.send(bob.ack(alice, 1))
    await a.next()
    assert [frame[0] for frame in kept.said] == [verbs.SEND, verbs.ACK]
    assert verbs.ACCEPTED in kept.told
    await b.close()
    assert kept.gone == [bob.user]
    session = node.service.sessions[alice.user]
    assert type(session) is TappedSession
    tapping.end(node.service)
    tapping.detach(session)
    assert type(session) is Session
    assert "received" not in vars(node.service)
    await a.send_bytes(first[3:])
    await node.settle()
    assert len(kept.said) == 2
    tapping.end(node.service)


@pytest.mark.parametrize(
    ("steps", "kinds"),
    [
        ("trace tap untap untrace", [TracedSession, TracedAndTappedSession, TracedSession, Session]),
        ("trace tap untrace untap", [TracedSession, TracedAndTappedSession, TappedSession, Session]),
        ("tap trace untap untrace", [TappedSession, TracedAndTappedSession, TracedSession, Session]),
        ("tap trace untrace untap", [TappedSession, TracedAndTappedSession, TappedSession, Session]),
        ("tap tap untrace untap untap", [TappedSession, TappedSession, TappedSession, Session, Session]),
    ],
)
async def test_a_trace_and_a_tap_see_the_same_session_and_leave_each_other_alone(
    node: LiveNode, alice: Device, steps: str, kinds: list[type]
) -> None:
    """Whoever came first and whoever goes first: what is written is seen once by each that looks."""
    a = await node.login(alice)
    session = node.service.sessions[alice.user]
    assert isinstance(session, Session)
    shown: list[dict[str, object]] = []
    told: list[bytes] = []

    class Told(Kept):
        def received(self, session: Session, data: bytes) -> None:
            pass

        def wrote(self, session: Session, data: bytes) -> None:
            told.append(data)

    trace = Trace(alice.user, shown.append, 100, node.time)
    tapping.begin(node.service, Told())
    for step, kind in zip(steps.split(), kinds, strict=True):
        if step == "trace":
            assert tracing.begin(node.service.traces, node.service.sessions, trace)
        elif step == "untrace":
            tracing.end(node.service.traces, node.service.sessions, trace)
        elif step == "tap":
            tapping.attach(session)
        else:
            tapping.detach(session)
        assert type(session) is kind
        shown.clear()
        told.clear()
        await a.send((verbs.PING, False, 7))
        assert await a.next() == (verbs.PING, True, 7)
        assert len([one for one in shown if one["way"] == "out"]) == issubclass(kind, TracedSession)
        assert len(told) == issubclass(kind, TappedSession)
    tapping.end(node.service)


async def test_a_session_that_is_attached_still_and_nobody_is_there(
    node: LiveNode, alice: Device, kept: Kept
) -> None:
    a = await node.login(alice)
    session = node.service.sessions[alice.user]
    assert isinstance(session, Session)
    tapping.begin(node.service, kept)
    tapping.attach(session)
    tapping.end(node.service)
    await a.send((verbs.PING, False, 7))
    assert await a.next() == (verbs.PING, True, 7)
    assert kept.told == []


async def test_what_is_no_frame_is_shown_too_and_harms_nobody(
    node: LiveNode, alice: Device, kept: Kept
) -> None:
    seen: list[bytes] = []

    class Raw(Kept):
        def received(self, session: Session, data: bytes) -> None:
            seen.append(data)

    tapping.begin(node.service, Raw())
    a = await node.login(alice)
    await a.send_bytes(b"\x00\x00\x00\x02\xff\xff")
    await a.end()
    assert seen == [b"\x00\x00\x00\x02\xff\xff"]
