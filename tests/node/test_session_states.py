"""Which verb may come when, and what is said to those that may not: the table of docs/wire-protocol.md."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from node.settings import SessionSettings
from node.wire import errors, verbs
from node.wire.codec import encode
from node.wire.limits import FRAME_MAX, FRAME_MAX_BEFORE_LOGIN
from node.wire.negotiation import VERSION_HIGHEST
from tests.node.live import Device, Frame, LiveNode, Phone, error, live_node, name_of

OPEN, CLOSED = "open", "closed"

# state → verb → what is answered, and whether the connection lives on
TABLE: dict[str, dict[str, tuple[list[str], str]]] = {
    "new": {
        "hello": (["hello"], OPEN),
        "bye": ([], CLOSED),
        **dict.fromkeys(("pin", "register", "login", "ping", "pong"), (["unexpected"], CLOSED)),
        **dict.fromkeys(("send", "skip", "ack", "read", "confirm"), (["login_first"], CLOSED)),
    },
    "greeted": {
        "pin": (["pin"], OPEN),
        "register": (["pin_refused"], OPEN),
        "login": (["login"], OPEN),
        "ping": (["ping"], OPEN),
        "pong": ([], OPEN),
        "bye": ([], CLOSED),
        "hello": (["unexpected"], CLOSED),
        **dict.fromkeys(("send", "skip", "ack", "read", "confirm"), (["login_first"], CLOSED)),
    },
    "asking": {  # a PIN was asked for: its answer comes last
        "ping": (["ping", "pin"], OPEN),
        "pong": (["pin"], OPEN),
        "bye": ([], CLOSED),
        **dict.fromkeys(("hello", "pin", "register", "login"), (["unexpected"], CLOSED)),
        **dict.fromkeys(("send", "skip", "ack", "read", "confirm"), (["login_first"], CLOSED)),
    },
    "online": {
        "send": (["accepted"], OPEN),
        "skip": (["accepted"], OPEN),
        "ack": (["confirm"], OPEN),  # of what was never sent: there is nothing to write
        "read": (["confirm"], OPEN),
        "confirm": ([], OPEN),
        "ping": (["ping"], OPEN),
        "pong": ([], OPEN),
        "bye": ([], CLOSED),
        **dict.fromkeys(("hello", "pin", "register", "login"), (["unexpected"], CLOSED)),
    },
}


def frame_of(verb: str, alice: Device, bob: Device, nonce: bytes) -> Frame:
    """A valid frame of this verb."""
    return {
        "hello": (verbs.HELLO, 1, 1, (), "raw"),
        "pin": (verbs.PIN, alice.user),
        "register": alice.register("000000"),
        "login": alice.login(nonce or bytes(32)),
        "send": alice.send(bob, 1),
        "skip": alice.skip(bob, 1),
        "ack": alice.ack(bob, 1),
        "read": (verbs.READ, bob.user, bytes(8), 1),  # of a stream that is not known: nothing to write
        "confirm": (verbs.CONFIRM, bob.user, alice.stream, 1, 1, 1),
        "ping": (verbs.PING, False, 5),
        "pong": (verbs.PING, True, 5),
        "bye": (verbs.BYE, 0, 0),
    }[verb]


@pytest.mark.parametrize("state", TABLE)
async def test_every_verb_in_every_state(node: LiveNode, alice: Device, bob: Device, state: str) -> None:
    enter: dict[str, Callable[[], Awaitable[Phone]]] = {
        "new": node.connect,
        "greeted": node.greeted,
        "asking": node.greeted,
        "online": lambda: node.login(alice),
    }
    got = {}
    for verb in TABLE[state]:
        phone = await enter[state]()
        before = [(verbs.PIN, bob.user)] if state == "asking" else []
        await phone.send(*before, frame_of(verb, alice, bob, phone.nonce))
        if TABLE[state][verb][1] == OPEN:
            frames, fate = await phone.said(), OPEN
        else:
            frames, fate = await phone.end(), CLOSED
        got[verb] = ([name_of(frame) for frame in frames], fate)
        await phone.close()
        await node.pass_s(61)  # another PIN may be asked for
    assert got == TABLE[state]


def test_the_table_has_every_verb_of_a_client() -> None:
    verbs_of_clients = {"hello", "pin", "register", "login", "send", "skip", "ack", "read", "confirm"}
    for state, rows in TABLE.items():
        assert set(rows) == verbs_of_clients | {"ping", "pong", "bye"}, state


def test_the_page_has_the_same_table(alice: Device, bob: Device) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "wire-protocol.md").read_text("utf-8")
    for state, rows in TABLE.items():
        if state == "asking":
            continue
        (line,) = (line for line in page.splitlines() if line.startswith(f"| {state}"))
        may = {word for word in line.split("|")[2].split("`") if word.isalpha()}
        refused = {verb for verb, (said, _) in rows.items() if {"unexpected", "login_first"} & set(said)}
        assert may == set(rows) - {"pong"} - refused, state


# ---- hello -------------------------------------------------------------------------------------------


async def test_hello_names_the_highest_shared_version_and_the_limits(node: LiveNode) -> None:
    phone = await node.connect()
    await phone.send((verbs.HELLO, 1, 255, ("of-tomorrow", "x"), "raw/1"))
    _, version, features, nonce, frame_max, window, agent = await phone.next()
    assert (version, features) == (VERSION_HIGHEST, ())
    assert (frame_max, window, agent) == (FRAME_MAX, node.mail.settings.window, "waystation")
    other = await node.connect()
    assert (await other.hello())[3] != nonce, "a nonce is of one connection"


async def test_features_that_both_know_are_agreed(node: LiveNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.arrival.FEATURES", ("a", "b", "c"))
    phone = await node.connect()
    await phone.send((verbs.HELLO, 1, 1, ("c", "z", "a"), ""))
    assert (await phone.next())[2] == ("c", "a")


@pytest.mark.parametrize(("lowest", "highest"), [(2, 9), (9, 2)])
async def test_without_a_shared_version_there_is_an_error_and_the_end(
    node: LiveNode, lowest: int, highest: int
) -> None:
    phone = await node.connect()
    await phone.send((verbs.HELLO, lowest, highest, (), ""))
    refusal = await phone.refused(errors.UNSUPPORTED_VERSION)
    assert refusal[2] == "this side speaks versions 1 to 1"


# ---- bytes to frames ---------------------------------------------------------------------------------


async def test_frames_may_come_in_pieces_of_any_size(node: LiveNode, alice: Device, bob: Device) -> None:
    """A conversation, the writes cut at every byte."""
    phone = await node.connect()
    for byte in encode((verbs.HELLO, 1, 1, (), "raw")):
        await phone.send_bytes(bytes((byte,)))
        await node.turn()
    phone.nonce = (await phone.next())[3]
    for byte in encode(alice.login(phone.nonce)):
        await phone.send_bytes(bytes((byte,)))
        await node.turn()
    assert (await phone.next())[0] == verbs.LOGIN
    data = encode(alice.send(bob, 1)) + encode((verbs.PING, False, 7))
    for cut in range(1, len(data)):
        await phone.send_bytes(data[:cut])
        await node.turn()
        await phone.send_bytes(data[cut:])
        await node.settle()
        answers = [await phone.next(), await phone.next()]
        assert sorted(frame[0] for frame in answers) == [verbs.ACCEPTED, verbs.PING], cut


async def test_many_frames_may_come_in_one_write(node: LiveNode, alice: Device, bob: Device) -> None:
    phone = await node.login(alice)
    await phone.send(*(alice.send(bob, n, base=1) for n in range(1, 501)), (verbs.PING, False, 1))
    assert await phone.said() == [(verbs.PING, True, 1), alice.accepted(bob, 1, 500, verbs.ONE_COPY)]


async def test_good_frames_before_a_bad_one_count(node: LiveNode, alice: Device, bob: Device) -> None:
    phone = await node.login(alice)
    await phone.send_bytes(encode(alice.send(bob, 1)) + bytes.fromhex("00000001") + b"\xff" + bytes(9))
    bad = await phone.refused(errors.MALFORMED)
    assert "(" not in bad[2], "the remedy is the registry's, not the frame's"
    again = await node.login(alice)
    await again.send(alice.send(bob, 1))
    assert await again.said() == [alice.accepted(bob, 1, 1, verbs.ONE_COPY)]
    assert node.mail.counts.duplicates == 1


@pytest.mark.parametrize("state", ["new", "greeted", "online"])
async def test_a_frame_that_is_too_large_is_refused_at_its_length(
    node: LiveNode, alice: Device, state: str
) -> None:
    limit = FRAME_MAX if state == "online" else FRAME_MAX_BEFORE_LOGIN
    for size in (limit, limit + 1):
        phone = await node.connect()
        if state != "new":
            await phone.hello()
        if state == "online":
            await phone.login(alice)
        await phone.send_bytes(size.to_bytes(4, "big"))
        if size > limit:
            refusal = await phone.refused(errors.TOO_LARGE)
            assert refusal[2] == f"a frame of {size} bytes where {limit} are allowed"
        else:
            await node.turn()
            await phone.send_bytes(bytes(size))
            await phone.refused(errors.MALFORMED)


async def test_bad_bytes_of_one_phone_are_not_noticed_by_another(
    node: LiveNode, alice: Device, bob: Device
) -> None:
    good, bad = await node.login(alice), await node.login(bob)
    await bad.send_bytes(b"GET / HTTP/1.1\r\n\r\n")
    await bad.refused(errors.TOO_LARGE)
    await good.send(alice.send(bob, 1))
    assert await good.said() == [alice.accepted(bob, 1, 1, verbs.ONE_COPY)]


# ---- time --------------------------------------------------------------------------------------------


async def test_who_says_nothing_is_sent_away(tmp_path: Path, alice: Device) -> None:
    settings = SessionSettings(hello_s=3, login_s=6, ping_after_s=20, ping_wait_s=5)
    async with live_node(tmp_path, devices=(alice,), session=settings) as node:
        mute, greeted = await node.connect(), await node.connect()
        await node.turn()
        await node.pass_s(2)
        await greeted.hello()
        await node.pass_s(2)
        assert await mute.end() == [error(errors.TIMEOUT)]
        for token in range(2):  # noise is no login
            await greeted.send((verbs.PING, False, token))
            await greeted.expect((verbs.PING, True, token))
            await node.pass_s(2)
        await node.pass_s(1)
        assert await greeted.end() == [error(errors.TIMEOUT)]


async def test_the_silent_are_pinged_and_closed_if_they_stay_silent(tmp_path: Path, alice: Device) -> None:
    settings = SessionSettings(ping_after_s=20, ping_wait_s=5)
    async with live_node(tmp_path, devices=(alice,), session=settings) as node:
        phone = await node.login(alice)
        await node.pass_s(15)
        assert await phone.said() == []  # its ping counts as a sign of life
        await node.pass_s(15)
        assert await phone.said() == []
        await node.pass_s(21)
        await phone.expect((verbs.PING, False, 0))
        await phone.send((verbs.PING, True, 0))
        await node.turn()
        await node.pass_s(10)
        await phone.quiet()
        await node.pass_s(21)
        await phone.expect((verbs.PING, False, 0))
        await node.pass_s(6)
        assert await phone.end() == [error(errors.TIMEOUT, text="no answer to a ping")]
        await node.wait(lambda: not node.mail.sessions)


async def test_a_phone_that_vanished_without_a_word_is_missed(
    tmp_path: Path, alice: Device, bob: Device
) -> None:
    """Half open: nothing comes, nothing goes, and no end of the connection was seen."""
    settings = SessionSettings(ping_after_s=20, ping_wait_s=5)
    async with live_node(tmp_path, devices=(alice, bob), session=settings) as node:
        gone, sender = await node.login(bob), await node.login(alice)
        for _ in range(6):
            await sender.quiet()
            await node.pass_s(5)
        assert node.running.hub.statistics().closed == {"timeout": 1}
        assert list(node.mail.sessions) == [alice.user]
        await sender.send(alice.send(bob, 1))
        assert await sender.said() == [alice.accepted(bob, 1, 1, verbs.ONE_COPY)], "not offered to nobody"
        assert (await gone.end())[-1][0] == verbs.ERROR


async def test_bye_ends_a_session_at_once(node: LiveNode, alice: Device) -> None:
    phone = await node.login(alice)
    await phone.send((verbs.BYE, 0, 0), (verbs.PING, False, 1))
    assert await phone.end() == [], "what comes after bye isn't heard"
    assert not node.mail.sessions
    assert node.running.hub.statistics().closed == {"bye": 1}
