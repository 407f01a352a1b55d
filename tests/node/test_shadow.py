"""Guests are dealt with as phones are, without a socket; what they are told is counted and goes nowhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from node import shadow
from node.shadow import Stage
from node.wire import verbs
from node.wire.codec import encode
from tests.node.live import Device, LiveNode, live_node

A, B = "alice's session", "bob's session"


class Theatre:
    """A node with a stage; what is done there is done in the hub's passes."""

    def __init__(self, node: LiveNode) -> None:
        self.node = node
        self.stage = Stage(node.service, node.running.hub)

    async def do(self, *acts: Callable[[], Any]) -> None:
        for act in acts:
            self.node.running.hub.soon(act)
        await self.node.settle()
        await self.node.turn()
        await self.node.turn()

    async def open(self, key: str, device: Device) -> None:
        await self.do(lambda: self.stage.open(key, device.user, device.stream))

    async def say(self, key: str, *frames: tuple[Any, ...]) -> None:
        data = b"".join(map(encode, frames))
        await self.do(lambda: self.stage.say(key, data))


@pytest.fixture
def theatre(node: LiveNode) -> Theatre:
    return Theatre(node)


async def test_a_message_goes_from_guest_to_guest(theatre: Theatre, alice: Device, bob: Device) -> None:
    await theatre.open(A, alice)
    await theatre.open(B, bob)
    assert len(theatre.node.mail.sessions) == len(theatre.stage) == 2
    await theatre.say(A, alice.send(bob, 1), alice.send(bob, 2, base=1))
    assert theatre.stage.told[verbs.DELIVER] == 2
    await theatre.say(B, bob.ack(alice, 1, 2))
    assert theatre.stage.told[verbs.ACCEPTED] == 1
    assert theatre.stage.heard == {verbs.SEND: 2, verbs.ACK: 1}
    assert theatre.node.mail.pending == 0
    await theatre.do(lambda: theatre.stage.close(A), lambda: theatre.stage.close(B))
    assert len(theatre.node.mail.sessions) == len(theatre.stage) == 0
    assert theatre.stage.ends == {"gone": 2}
    assert theatre.node.running.hub.counters.connections == 0


async def test_what_is_said_before_the_mailbox_is_loaded_waits_for_it(
    theatre: Theatre, alice: Device, bob: Device
) -> None:
    stage = theatre.stage
    ping = encode((verbs.PING, False, 1))
    await theatre.do(
        lambda: (stage.open(A, alice.user, alice.stream), stage.say(A, ping), stage.say(A, ping))
    )
    assert stage.heard[verbs.PING] == stage.told[verbs.PING] == 2
    assert stage.errors == {}


async def test_who_says_too_much_before_that_is_sent_away(
    theatre: Theatre, alice: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "HELD_BYTES_MAX", 10)
    ping = encode((verbs.PING, False, 1))
    stage = theatre.stage
    await theatre.do(lambda: (stage.open(A, alice.user, alice.stream), stage.say(A, ping + ping)))
    assert stage.ends == {"held": 1}
    assert len(stage) == 0


async def test_errors_are_told_by_name_and_end_a_guest_as_they_end_a_phone(
    theatre: Theatre, alice: Device, bob: Device
) -> None:
    await theatre.open(A, alice)
    await theatre.say(A, bob.send(alice, 1))  # a stream that isn't his
    assert theatre.stage.errors == {"stream_wrong": 1}
    await theatre.do(lambda: theatre.stage.say(A, b"\x00\x00\x00\x02\xff\xff"))
    assert theatre.stage.errors["malformed"] == 1
    assert theatre.stage.ends == {"malformed": 1}
    await theatre.say(A, (verbs.PING, False, 1))
    assert theatre.stage.unknown == 1


async def test_a_handler_that_fails_ends_its_guest_only(
    theatre: Theatre, alice: Device, bob: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    await theatre.open(A, alice)
    await theatre.open(B, bob)

    def fail(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr("node.mail.numbering.send", fail)
        await theatre.say(A, alice.send(bob, 1))
    assert theatre.stage.failures == 1
    assert theatre.stage.errors == {"internal": 1}
    assert len(theatre.stage) == 1
    assert theatre.stage.statistics()["ends"] == {"internal": 1}


async def test_a_user_who_comes_again_takes_his_own_place(theatre: Theatre, alice: Device) -> None:
    await theatre.open(A, alice)
    await theatre.open("another", alice)
    assert len(theatre.stage) == len(theatre.node.mail.sessions) == 1
    assert theatre.stage.errors == {"superseded": 1}
    await theatre.open("another", alice)
    assert len(theatre.stage) == len(theatre.node.mail.sessions) == 1


async def test_guests_beyond_the_bound_are_refused_and_counted(
    theatre: Theatre, alice: Device, bob: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shadow, "GUESTS_MAX", 1)
    await theatre.open(A, alice)
    await theatre.open(B, bob)
    assert (len(theatre.stage), theatre.stage.refused) == (1, 1)


async def test_in_a_shadow_everybody_counts_as_registered_and_pins_go_nowhere(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    async with live_node(tmp_path, shadow=True) as node:
        theatre = Theatre(node)
        await theatre.open(A, alice)
        await theatre.say(A, alice.send(bob, 1))
        await node.pass_s(1)
        assert theatre.stage.told[verbs.ACCEPTED] == 1
        assert theatre.stage.errors == {}
        phone = await node.greeted()
        await phone.send((verbs.PIN, bob.user))
        assert (await phone.next())[0] == verbs.PIN
        await node.wait(lambda: node.running.statistics()["accounts"]["courier"]["delivered"] == 1)
        assert "PIN" not in node.output.getvalue()
