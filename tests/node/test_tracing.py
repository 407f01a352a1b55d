"""A trace shows that frames came and went, never what they carried; and a session that isn't looked at is as it was."""

from typing import Any

import pytest

from node import tracing
from node.seen import TracedSession
from node.session import Session
from node.tracing import TRACES_MAX, Trace, described
from node.wire import errors, verbs
from node.wire.codec import encode
from tests.node.live import Device, LiveNode, error

SECRET = b"the quick brown fox"


@pytest.fixture
def shown() -> list[dict[str, Any]]:
    return []


def start(node: LiveNode, device: Device, shown: list[dict[str, Any]], per_s: int = 100) -> Trace:
    trace = Trace(device.user, shown.append, per_s, node.time)
    assert tracing.begin(node.service.traces, node.service.sessions, trace)
    return trace


async def test_frames_are_shown_both_ways_without_their_bodies(
    node: LiveNode, alice: Device, bob: Device, shown: list[dict[str, Any]]
) -> None:
    a, b = await node.login(alice), await node.login(bob)
    trace = start(node, alice, shown)
    await a.send(alice.send(bob, 1, SECRET))
    await b.next()
    await b.send(bob.send(alice, 1, SECRET), bob.ack(alice, 1))
    await node.settle()
    assert [(one["way"], one["verb"]) for one in shown][:2] == [("in", "send"), ("out", "deliver")]
    assert shown[0] == {
        "way": "in",
        "verb": "send",
        "recipient": f"+{bob.user}",
        "stream": alice.stream.hex(),
        "n": 1,
        "base": 1,
        "body_bytes": len(SECRET),
    }
    assert "accepted" in {one["verb"] for one in shown}
    text = str(shown)
    assert SECRET.decode() not in text
    assert SECRET.hex() not in text
    assert trace.came == 1
    count = len(shown)
    tracing.end(node.service.traces, node.service.sessions, trace)
    await b.send(bob.send(alice, 2))
    assert (await a.next())[0] == verbs.DELIVER
    assert len(shown) == count


async def test_a_user_who_comes_later_or_again_is_seen_from_his_login_on(
    node: LiveNode, alice: Device, bob: Device, shown: list[dict[str, Any]]
) -> None:
    start(node, alice, shown)
    other = await node.login(bob)
    phone = await node.login(alice)
    assert [one["verb"] for one in shown] == ["login"]
    await phone.close()
    await node.login(alice)
    assert [one["verb"] for one in shown] == ["login", "login"]
    await other.quiet()
    assert type(node.mail.sessions[bob.user]) is Session


async def test_what_is_beyond_the_rate_is_counted_and_not_shown(
    node: LiveNode, alice: Device, bob: Device, shown: list[dict[str, Any]]
) -> None:
    phone = await node.login(alice)
    trace = start(node, alice, shown, per_s=3)
    await phone.send(*((verbs.PING, False, number) for number in range(20)))
    for _ in range(20):
        await phone.next()
    assert len(shown) == 3
    assert trace.came + trace.went == 40
    assert trace.hidden == 37
    node.time.now += 1
    await phone.send((verbs.PING, False, 99))
    await phone.next()
    assert len(shown) == 5


async def test_a_session_becomes_itself_again(
    node: LiveNode, alice: Device, shown: list[dict[str, Any]]
) -> None:
    await node.login(alice)
    session = node.mail.sessions[alice.user]
    trace = start(node, alice, shown)
    assert type(session) is TracedSession
    assert not tracing.begin(
        node.service.traces, node.service.sessions, Trace(alice.user, shown.append, 5)
    ), "one at a time"
    tracing.end(node.service.traces, node.service.sessions, trace)
    tracing.end(node.service.traces, node.service.sessions, trace)
    assert type(session) is Session
    assert node.service.traces == {}


async def test_so_many_users_are_looked_at_and_no_more(node: LiveNode, shown: list[dict[str, Any]]) -> None:
    for number in range(TRACES_MAX):
        assert tracing.begin(node.service.traces, node.service.sessions, Trace(number + 1, shown.append, 5))
    assert not tracing.begin(node.service.traces, node.service.sessions, Trace(99, shown.append, 5))


@pytest.mark.parametrize(
    ("frame", "told"),
    [
        ((verbs.REGISTER, 15551230001, "123456", SECRET, SECRET), {"verb": "register"}),
        ((verbs.PIN, 15551230001), {"verb": "pin"}),
        ((verbs.LOGIN, 15551230001, SECRET), {"verb": "login"}),
        ((verbs.PING, True, 7), {"verb": "ping", "answer": True, "token": 7}),
        (
            error(errors.BLOCKED),
            {"verb": "error", "code": "blocked", "text": errors.REGISTRY[errors.BLOCKED].text, "retry_ms": 0},
        ),
        ((77, SECRET), {"verb": "77"}),
    ],
)
def test_what_is_told_of_a_frame(frame: tuple[Any, ...], told: dict[str, Any]) -> None:
    assert described(frame) == told


def test_every_verb_is_told_by_its_name() -> None:
    for name in ("SEND", "DELIVER", "ERROR", "MOVED"):
        assert described((getattr(verbs, name),))["verb"] == name.lower()


def test_a_trace_survives_what_our_codec_does_not_know(shown: list[dict[str, Any]]) -> None:
    trace = Trace(1, shown.append, 100)
    trace.wrote(b"\xff" * 40)
    trace.wrote(encode((verbs.PING, True, 7)))
    assert [one["verb"] for one in shown] == ["ping"]
