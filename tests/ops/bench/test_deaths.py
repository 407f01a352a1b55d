"""What phones of a node that ends went through, on made-up times; and what a phone that speaks XMPP says."""

from random import Random
from typing import Any

from client.settings import Settings
from ops.bench import deaths
from ops.bench.deaths import Doomed
from ops.bench.storm_line import AWAY, NEXT_S, OPEN, Place
from ops.bench.storm_plan import Report, Return, Told
from ops.bench.storm_xmpp import XmppPhone

S = 1_000_000


def test_writers_are_at_nodes_that_live_and_phones_come_back_to_those_only() -> None:
    crowd = deaths.crowd_of(Doomed("xmpp", 73, (71, 72), lambda: None), 3)
    assert [(one.user, one.port, one.to) for one in crowd.phones] == [
        (0, 71, 1), (1, 73, -1), (2, 72, 3), (3, 73, -1), (4, 71, 5), (5, 73, -1),
    ]  # fmt: skip
    assert crowd.ports == (71, 72)


def test_a_message_that_was_accepted_and_never_came_is_counted() -> None:
    messages = (
        Told(0, 9 * S, 9 * S, 9 * S),
        Told(0, 10 * S, 10 * S, 0),
        Told(0, 11 * S, 11 * S, 12 * S),
        Told(2, 10 * S, 0, 0, 11 * S),
        Told(2, 10 * S, 10 * S, 10 * S + deaths.PAUSE_US),
        Told(2, 13 * S, 13 * S, 14 * S),
    )
    returns = (Return(1, 10 * S, 12 * S, 71, 1, 11 * S, 0), Return(3, 10 * S, 13 * S, 71, 1, 11 * S, 0))
    found = deaths.figures(Report(returns=returns, messages=messages), 10 * S)
    assert (found["accepted_and_not_delivered"], found["not_delivered"]) == (1, 2)
    assert found["not_delivered_and_returned"] == 1
    assert (found["next_deliver_s"]["first"], found["next_deliver_s"]["last"]) == (2.0, 4.0)
    assert (found["back_s"]["first"], found["back_s"]["last"]) == (2.0, 3.0)


class Seen:
    """What a phone tells."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda _phone, *rest: self.told.append((name, *rest))


class Wire:
    """A socket that takes everything and has what it is given."""

    def __init__(self) -> None:
        self.said = b""
        self.to_read = b""

    def send(self, data: bytes) -> int:
        self.said += data
        return len(data)

    def recv(self, _: int) -> bytes:
        return self.to_read

    def close(self) -> None:
        pass


def xmpp_phone(seen: Seen, wire: Wire, *, managed: bool = True) -> XmppPhone:
    phone = XmppPhone(Place(4, 71, [71], Settings(), Random(1), seen), managed=managed)
    phone.sock, phone.state = wire, OPEN  # type: ignore[assignment]
    phone.open(1.0)
    return phone


def hear(phone: XmppPhone, wire: Wire, words: bytes) -> None:
    wire.to_read = words
    phone.ready(2.0, readable=True)


LOGIN = (
    b"<stream:stream><stream:features></stream:features>",
    b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    b"<stream:features></stream:features>",
    b"<iq id='bind'></iq>",
)


def test_an_xmpp_phone_sends_when_it_is_in_and_knows_what_was_acknowledged() -> None:
    seen, wire = Seen(), Wire()
    phone = xmpp_phone(seen, wire)
    for words in LOGIN:
        hear(phone, wire, words)
    assert phone.send(5, bytes(8), 2.0) == 1
    assert b"to='u5@localhost'" not in wire.said, "it waits for its presence"
    hear(phone, wire, b"<enabled xmlns='urn:xmpp:sm:3'/><presence from='u4@localhost/bench'/>")
    assert ("online",) in seen.told
    assert b"to='u5@localhost' type='chat' id='1'" in wire.said
    hear(phone, wire, b"<r xmlns='urn:xmpp:sm:3'/><a xmlns='urn:xmpp:sm:3' h='1'/>")
    assert b"<a xmlns='urn:xmpp:sm:3' h='1'/>" in wire.said
    assert ("accepted", 1) not in seen.told, "that was the presence"
    hear(phone, wire, b"<a xmlns='urn:xmpp:sm:3' h='2'/>")
    assert ("accepted", 1) in seen.told
    hear(phone, wire, b"<message from='u5@localhost' to='u4@localhost' type='error' id='1'></message>")
    assert ("returned", 1) in seen.told


def test_an_xmpp_phone_takes_messages_in_pieces_and_comes_back_after_a_cut() -> None:
    seen, wire = Seen(), Wire()
    phone = xmpp_phone(seen, wire, managed=False)
    for words in (*LOGIN, b"<presence from='u4@localhost/bench'/>"):
        hear(phone, wire, words)
    hear(phone, wire, b"<message from='u6@localhost/bench' to='u4' id='3'><bo")
    assert not [one for one in seen.told if one[0] == "arrived"]
    hear(phone, wire, b"dy>x</body><request xmlns='urn:xmpp:receipts'/></message>")
    assert ("arrived", 6, 3) in seen.told
    assert b"<received xmlns='urn:xmpp:receipts' id='3'/>" in wire.said
    hear(phone, wire, b"")
    assert phone.state == AWAY
    assert phone.due is not None


def test_an_xmpp_phone_that_nobody_answers_goes_elsewhere() -> None:
    seen, wire = Seen(), Wire()
    phone = xmpp_phone(seen, wire)
    assert phone.due == 1.0 + Settings().answer_timeout
    phone.advance(phone.due)
    assert ("put_off", "no answer", 0.0) in seen.told
    assert phone.state == AWAY


def test_a_node_that_is_silent_takes_no_connection_and_the_next_one_is_tried_soon() -> None:
    seen = Seen()
    phone = XmppPhone(Place(4, 71, [71, 72], Settings(), Random(1), seen), managed=False)
    phone.silent = frozenset((71, 72))
    phone.advance(10.0)
    assert (phone.state, phone.due) == (AWAY, 10.0 + NEXT_S)
    phone.advance(phone.due)
    assert phone.due == 10.0 + 2 * NEXT_S
    phone.advance(phone.due)
    assert phone.due > 10.0 + 2 * NEXT_S, "all were tried: it waits before the next time"
    assert not [one for one in seen.told if one[0] == "opened"]
