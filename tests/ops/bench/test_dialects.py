"""The two dialects of the load generator, without sockets: what comes in, in any pieces, and what goes out."""

from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from node.wire.codec import check_client, decode_client, encode
from node.wire.limits import FRAME_MAX
from node.wire.verbs import (
    ACCEPTED,
    ACK,
    BYE,
    CONFIRM,
    DELIVER,
    DELIVERED,
    HELLO,
    LOGIN,
    ONE_COPY,
    PING,
    RECEIPT,
    SEND,
)
from ops.bench.identities import device_key, number_of, stream_of
from ops.bench.phone import PhoneEngine
from ops.bench.plan import Dialect, Plan, Shape
from ops.bench.session import LOGGING_IN, READY, LoadError
from ops.bench.xmpp import XmppEngine

PLAN = Plan(
    dialect="waystation",
    host="127.0.0.1",
    port=1,
    tls=False,
    shape=Shape(3, 0, 2),
    window=4,
    rate=0,
    body_bytes=40,
    flight="receipted",
    logins_parallel=1,
)
ME, ALICE, BOB = number_of(0), number_of(1), number_of(2)
BODY = (1_000).to_bytes(8, "big") + bytes(32)

Frames = list[tuple[Any, ...]]


def phone() -> tuple[PhoneEngine, Any]:
    engine = PhoneEngine(PLAN, 0, lambda _: None)
    session = engine.session(0)
    session.state = LOGGING_IN
    engine.receive(session, encode((LOGIN, 0, 1, 0)), 0)
    assert session.state == READY
    return engine, session


def frames_of(data: bytes) -> Frames:
    frames: Frames = []
    assert decode_client(data, FRAME_MAX, frames) == len(data)
    return frames


def delivery(sender: int, n: int) -> bytes:
    return encode((DELIVER, sender, bytes(8), n, 0, 0, BODY))


def test_a_phone_signs_the_nonce() -> None:
    engine = PhoneEngine(PLAN, 0, lambda _: None)
    session = engine.session(1)
    session.state = LOGGING_IN
    assert frames_of(engine.greet(session))[0][0] == HELLO
    ((verb, user, signature),) = frames_of(
        engine.receive(session, encode((HELLO, 1, (), bytes(32), FRAME_MAX, 64, "node")), 0)
    )
    assert (verb, user) == (LOGIN, ALICE)
    from node.wire.login import login_message

    device_key(1).public_key().verify(signature, login_message(ALICE, bytes(32), b""))


def test_messages_go_to_the_partners_in_turn_with_numbers_of_each() -> None:
    engine, session = phone()
    sent = frames_of(engine.compose(session, 4, 77))
    assert [(to, n, base) for _, to, _, n, base, _ in sent] == [
        (ALICE, 1, 1),
        (BOB, 1, 1),
        (ALICE, 2, 1),
        (BOB, 2, 1),
    ]
    assert {stream for _, _, stream, *_ in sent} == {stream_of(0)}
    assert {int.from_bytes(body[:8], "big") for *_, body in sent} == {77}
    assert {len(body) for *_, body in sent} == {40}
    assert session.flight == 4
    for frame in sent:
        check_client(frame)


def test_base_is_the_lowest_number_that_is_not_accepted() -> None:
    engine, session = phone()
    engine.compose(session, 4, 0)
    engine.receive(session, encode((ACCEPTED, ALICE, stream_of(0), 1, 1, DELIVERED)), 10)
    assert session.flight == 3
    sent = frames_of(engine.compose(session, 2, 0))
    assert [(to, n, base) for _, to, _, n, base, _ in sent] == [(ALICE, 3, 2), (BOB, 3, 1)]


def test_one_ack_answers_an_unbroken_run_of_one_read() -> None:
    engine, session = phone()
    data = delivery(ALICE, 1) + delivery(ALICE, 2) + delivery(BOB, 1) + delivery(ALICE, 3)
    acks = frames_of(engine.receive(session, data, 1_500))
    assert acks == [
        (ACK, ALICE, bytes(8), 1, 2),
        (ACK, BOB, bytes(8), 1, 1),
        (ACK, ALICE, bytes(8), 3, 3),
    ]
    assert engine.delivered == 4
    assert engine.to_deliver.percentile_us(100) == 500


def test_repeated_and_early_messages_are_counted_and_acked() -> None:
    engine, session = phone()
    engine.receive(session, delivery(ALICE, 1) + delivery(ALICE, 1) + delivery(ALICE, 3), 0)
    assert (engine.delivered, engine.repeated, engine.disordered) == (2, 1, 1)


def test_a_stored_message_leaves_the_window_with_its_receipt_which_is_confirmed() -> None:
    engine, session = phone()
    engine.compose(session, 2, 0)
    engine.receive(session, encode((ACCEPTED, ALICE, stream_of(0), 1, 1, ONE_COPY)), 10)
    assert (session.flight, engine.accepted, engine.receipted) == (2, 1, 0)
    receipt = (RECEIPT, ALICE, stream_of(0), 1, 1, 1)
    assert frames_of(engine.receive(session, encode(receipt), 20)) == [(CONFIRM, *receipt[1:])]
    assert (session.flight, engine.accepted, engine.receipted) == (1, 1, 1)
    engine.receive(session, encode(receipt), 30)  # repeated: confirmed again, counted once
    assert (session.flight, engine.receipted) == (1, 1)


def test_a_receipt_that_overtakes_its_acceptance_counts_for_both() -> None:
    engine, session = phone()
    engine.compose(session, 1, 0)
    engine.receive(session, encode((RECEIPT, ALICE, stream_of(0), 1, 1, 1)), 10)
    engine.receive(session, encode((ACCEPTED, ALICE, stream_of(0), 1, 1, ONE_COPY)), 20)
    assert (session.flight, engine.accepted, engine.receipted) == (0, 1, 1)


def test_a_ping_is_answered() -> None:
    engine, session = phone()
    assert frames_of(engine.receive(session, encode((PING, False, 9)), 0)) == [(PING, True, 9)]
    assert engine.receive(session, encode((PING, True, 9)), 0) == b""


def test_a_bye_ends_the_run() -> None:
    engine, session = phone()
    with pytest.raises(LoadError, match="user 0: bye"):
        engine.receive(session, encode((BYE, 3, 0)), 0)


@given(st.lists(st.integers(1, 300), max_size=20))
def test_frames_in_any_pieces_are_the_same_frames(cuts: list[int]) -> None:
    engine, session = phone()
    data = b"".join(delivery(ALICE, n) for n in range(1, 6))
    acked: set[int] = set()
    for piece in pieces(data, cuts):
        for _, _, _, first, last in frames_of(engine.receive(session, piece, 0)):
            acked |= set(range(first, last + 1))
    assert acked == {1, 2, 3, 4, 5}


def pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    start = 0
    for size in sizes:
        if data[start : start + size]:
            yield data[start : start + size]
        start += size
    if data[start:]:
        yield data[start:]


# ---- XMPP; what the server says is copied from ejabberd 23.01

LOGIN_TALK = (
    b"<?xml version='1.0'?><stream:stream id='1' version='1.0' xml:lang='en' xmlns:stream='http://etherx.jabber.org/"
    b"streams' from='localhost' xmlns='jabber:client'><stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-"
    b"sasl'><mechanism>PLAIN</mechanism></mechanisms></stream:features>",
    b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    b"<?xml version='1.0'?><stream:stream id='2' from='localhost'><stream:features><bind xmlns='urn:ietf:params:xml:ns:"
    b"xmpp-bind'/></stream:features>",
    b"<iq xml:lang='en' type='result' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><jid>u0@localhost/bench"
    b"</jid></bind></iq>",
    b"<presence xml:lang='en' to='u0@localhost/bench' from='u0@localhost/bench'/>",
)


def message(n: int) -> bytes:
    return (
        b"<message xml:lang='en' to='u0@localhost/bench' from='u1@localhost/bench' type='chat' id='%d'"
        b" xmlns='jabber:client'><request xmlns='urn:xmpp:receipts'/><body>%016xxxxxxxxx</body></message>"
        % (n, 1_000)
    )


def client(dialect: Dialect, **changes: Any) -> tuple[XmppEngine, Any, list[bytes]]:
    engine = XmppEngine(evolve(PLAN, dialect=dialect, **changes), 0, lambda _: None)
    session = engine.session(0)
    session.state = LOGGING_IN
    said = [engine.greet(session)]
    said += [engine.receive(session, talk, 0) for talk in LOGIN_TALK]
    assert session.state == READY
    return engine, session, said


def test_a_client_logs_in_with_plain_bind_and_presence() -> None:
    _, _, said = client("xmpp")
    words = [
        b"<stream:stream",
        b"mechanism='PLAIN'>AHUwAHdheXN0YXRpb24=",
        b"<stream:stream",
        b"<bind",
        b"<presence/>",
        b"",
    ]
    for word, line in zip(words, said, strict=True):
        assert word in line


def test_a_refused_login_is_told() -> None:
    engine = XmppEngine(evolve(PLAN, dialect="xmpp"), 0, lambda _: None)
    session = engine.session(0)
    engine.receive(session, LOGIN_TALK[0], 0)
    with pytest.raises(LoadError, match="not-authorized"):
        engine.receive(
            session, b"<failure xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><not-authorized/></failure>", 0
        )


@given(st.lists(st.integers(1, 300), max_size=20))
def test_stanzas_in_any_pieces_are_answered_once_each(cuts: list[int]) -> None:
    engine, session, _ = client("xmpp")
    data = b"".join(message(n) + LOGIN_TALK[-1] for n in range(1, 6)) + b"\n"
    answers = b"".join(engine.receive(session, piece, 1_250) for piece in pieces(data, cuts))
    for n in range(1, 6):
        assert answers.count(b"<received xmlns='urn:xmpp:receipts' id='%d'/>" % n) == 1
    assert answers.count(b"<message to='u1@localhost/bench'") == 5
    assert (engine.delivered, engine.repeated) == (5, 0)
    assert engine.to_deliver.percentile_us(100) == 250


def test_a_receipt_takes_a_message_out_of_the_window() -> None:
    engine, session, _ = client("xmpp")
    sent = engine.compose(session, 3, 1_000)
    assert sent.count(b"<request xmlns='urn:xmpp:receipts'/>") == 3
    assert sent.startswith(b"<message to='u1@localhost/bench' type='chat' id='1'><body>00000000000003e8xx")
    receipt = (
        b"<message xml:lang='en' to='u0@localhost/bench' from='u1@localhost/bench' type='chat' id='r1'"
        b" xmlns='jabber:client'><received id='1' xmlns='urn:xmpp:receipts'/></message>"
    )
    assert engine.receive(session, receipt, 3_000) == b""
    assert (session.flight, engine.receipted) == (2, 1)
    assert engine.to_receipted.percentile_us(100) is not None
    engine.receive(session, receipt, 4_000)
    assert (session.flight, engine.receipted, engine.repeated) == (2, 1, 1)


def test_a_refused_message_ends_the_run() -> None:
    engine, session, _ = client("xmpp")
    with pytest.raises(LoadError, match="service-unavailable"):
        engine.receive(
            session,
            b"<message to='u0@localhost/bench' from='u1@localhost' type='error' id='1'><error type='cancel'>"
            b"<service-unavailable/></error></message>",
            0,
        )


def test_without_stream_management_an_answer_vouches_for_the_burst_before_it() -> None:
    engine, session, _ = client("xmpp", flight="accepted")
    sent = engine.compose(session, 4, 0)
    assert sent.endswith(b"<iq type='get' to='localhost' id='b4'><ping xmlns='urn:xmpp:ping'/></iq>")
    assert b"to='u1@localhost' " in sent
    engine.receive(
        session, b"<iq type='error' to='u0@localhost/bench' id='b4'><ping/><error type='cancel'/></iq>", 10
    )
    assert (session.flight, engine.accepted) == (0, 4)


def test_with_stream_management_stanzas_are_counted_both_ways() -> None:
    engine, session, said = client("xmpp-managed")
    assert b"<enable xmlns='urn:xmpp:sm:3'/><presence/>" in said[4]
    engine.receive(session, b"<enabled xmlns='urn:xmpp:sm:3'/>", 0)
    answer = engine.receive(
        session, message(1) + b"<r xmlns='urn:xmpp:sm:3'/>" + message(2) + b"<r xmlns='urn:xmpp:sm:3'/>", 0
    )
    assert answer.endswith(b"<a xmlns='urn:xmpp:sm:3' h='2'/>")
    assert answer.count(b"<a ") == 1
    sent = engine.compose(session, 3, 0)
    assert sent.endswith(b"<r xmlns='urn:xmpp:sm:3'/>")
    # presence, two receipts, three messages
    engine.receive(session, b"<a h='5' xmlns='urn:xmpp:sm:3'/>", 10)
    assert engine.accepted == 0
    engine.receive(session, b"<a h='6' xmlns='urn:xmpp:sm:3'/>", 10)
    assert engine.accepted == 3


def test_a_stream_error_ends_the_run() -> None:
    engine, session, _ = client("xmpp")
    with pytest.raises(LoadError, match="stream:error"):
        engine.receive(session, b"<stream:error><conflict/></stream:error></stream:stream>", 0)


def test_send_is_the_only_verb_that_is_composed() -> None:
    engine, session = phone()
    assert {frame[0] for frame in frames_of(engine.compose(session, 9, 0))} == {SEND}
