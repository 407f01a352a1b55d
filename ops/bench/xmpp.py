"""The load generator's XMPP dialect: SASL PLAIN, bind, presence, chat messages with delivery receipts (XEP-0184).

It is as lean as the other dialect, so that the two servers meet the same load: stanzas are found by searching
bytes, not by an XML parser, for the server is known and escapes what it quotes. With stream management
(XEP-0198) server and client acknowledge stanzas to each other, once for what one read brings, and the server's
acknowledgement of a message counts as accepted. Without it XMPP says nothing when the server has taken a
message; where that must be known, a request to the server follows a burst of messages, and since a server
handles the stanzas of one client in order (RFC 6120, 10.1), its answer vouches for them all. This module must
never know which server it talks to.
"""

from base64 import b64encode
from collections import deque
from typing import Final

from ops.bench.engine import Engine
from ops.bench.identities import XMPP_HOST, XMPP_PASSWORD, xmpp_name
from ops.bench.session import LOGGING_IN, LoadError, Session

HOST: Final = XMPP_HOST.encode()
RESOURCE: Final = b"bench"
OPEN: Final = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    b" version='1.0' to='" + HOST + b"'>"
)
_BIND: Final = (
    b"<iq type='set' id='bind'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>"
    + RESOURCE
    + b"</resource></bind></iq>"
)
_SASL: Final = b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
REQUEST: Final = b"</body><request xmlns='urn:xmpp:receipts'/></message>"
RECEIVED: Final = b"'><received xmlns='urn:xmpp:receipts' id='"
_TIME_DIGITS: Final = 16
_ENABLE: Final = b"<enable xmlns='urn:xmpp:sm:3'/>"
ASK: Final = b"<r xmlns='urn:xmpp:sm:3'/>"

PRESENT: Final = 4
_AWAITED: Final = (
    b"</stream:features>",
    b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>",
    b"</stream:features>",
    b"</iq>",
)
"""Of each step of a login."""


class XmppSession(Session):
    """A connection and what it has sent.

    Attributes:
        heads: the beginning of a message to each partner, up to the id.
        unreceipted: id → when it was due. Oldest first.
        unaccepted: (position, when they were due, how many) of bursts; the position is that of the last stanza
            where streams are managed, else the id of the request that follows. Oldest first.
        stanzas_out, stanzas_in: since stream management was asked for, and was granted.
        newest: sender's address → the highest id delivered here.
    """

    __slots__ = (
        "heads",
        "newest",
        "number",
        "receipts",
        "stanzas_in",
        "stanzas_out",
        "step",
        "unaccepted",
        "unreceipted",
    )

    def __init__(self, index: int, partners: list[int], to: bytes) -> None:
        super().__init__(index, len(partners))
        self.heads = [
            b"<message to='" + xmpp_name(partner).encode() + to + b"' type='chat' id='"
            for partner in partners
        ]
        self.number = 0
        self.receipts = 0
        self.step = 0
        self.unreceipted: dict[int, int] = {}
        self.stanzas_out = 0
        self.stanzas_in = 0
        self.unaccepted: deque[tuple[int, int, int]] = deque()
        self.newest: dict[bytes, int] = {}


class XmppEngine(Engine):
    """Clients of an XMPP server."""

    _filler = b""
    _managed = False

    def session(self, index: int) -> XmppSession:
        """A new session of this user.

        Messages go to the full address while the recipient is there, which is the least work for the server
        (RFC 6121, 8.5.3), and to the bare one otherwise.
        """
        self._filler = b"x" * (self.plan.body_bytes - _TIME_DIGITS)
        self._managed = self.plan.dialect == "xmpp-managed"
        to = b"@" + HOST + (b"" if self.plan.flight == "accepted" else b"/" + RESOURCE)
        return XmppSession(index, self.plan.shape.partners_of(index), to)

    def greet(self, session: XmppSession) -> bytes:
        """The stream header."""
        return b"<?xml version='1.0'?>" + OPEN

    def compose(self, session: XmppSession, count: int, at: int) -> bytes:
        """Messages to the session's partners in turn, and the request that follows a burst."""
        session.flight += count
        heads = session.heads
        size = len(heads)
        turn, number = session.turn, session.number
        middle = b"'><body>%016x" % at + self._filler + REQUEST
        out = []
        for _ in range(count):
            number += 1
            session.unreceipted[number] = at
            out.append(b"%b%d%b" % (heads[turn], number, middle))
            turn = turn + 1 if turn + 1 < size else 0
        if self._managed:
            session.stanzas_out += count
            session.unaccepted.append((session.stanzas_out, at, count))
            out.append(ASK)
        elif self.plan.flight == "accepted":
            session.unaccepted.append((number, at, count))
            out.append(b"<iq type='get' to='%b' id='b%d'><ping xmlns='urn:xmpp:ping'/></iq>" % (HOST, number))
        session.turn, session.number = turn, number
        return b"".join(out)

    def receive(self, session: XmppSession, data: bytes, now: int) -> bytes:
        """Handle every complete stanza; answer each message with its receipt."""
        if session.remainder:
            data = session.remainder + data
        out: list[bytes] = []
        position = 0
        if session.step < PRESENT:
            position = self._log_in(session, data, out)
        if session.step >= PRESENT:
            position = self._take_stanzas(session, data, position, now, out)
        session.remainder = data[position:]
        return b"".join(out)

    def _take_stanzas(
        self, session: XmppSession, data: bytes, position: int, now: int, out: list[bytes]
    ) -> int:
        asked = False
        while (start := data.find(b"<", position)) >= 0:
            if data.startswith(b"<message", start):
                end = data.find(b"</message>", start)
                if end < 0:
                    break
                end += 10
                session.stanzas_in += 1
                self._take_message(session, data[start:end], now, out)
                if session.state == LOGGING_IN:
                    self.ready(session)
            else:
                head_end = data.find(b">", start)
                if head_end < 0:
                    break
                end = head_end + 1
                name = data[start + 1 : head_end].rstrip(b"/").split(None, 1)[0]
                if data[head_end - 1] != 0x2F:  # "/>" ends an empty one
                    closing = b"</" + name + b">"
                    end = data.find(closing, head_end)
                    if end < 0:
                        break
                    end += len(closing)
                if name == b"r":
                    asked = True
                else:
                    self._take_other(session, name, data[start : head_end + 1], now)
            position = end
        if asked:
            out.append(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % session.stanzas_in)
        return position

    def _take_other(self, session: XmppSession, name: bytes, head: bytes, now: int) -> None:
        match name:
            case b"a":
                self._take_accepted(session, int(quoted(head, b" h='", 0)), now)
            case b"iq":
                session.stanzas_in += 1
                # The answer to the request after a burst; that it is an error (nobody pings here) is no matter.
                self._take_accepted(session, int(quoted(head, b" id='b", 0)), now)
            case b"presence":
                session.stanzas_in += 1
                if session.state == LOGGING_IN:
                    self.ready(session)
            case b"enabled":
                session.stanzas_in = 0
            case _:
                raise LoadError(f"user {session.index}: the server said {head[:200]!r}")

    def _take_message(self, session: XmppSession, stanza: bytes, now: int, out: list[bytes]) -> None:
        received = stanza.find(b"<received ")
        if received >= 0:
            at = session.unreceipted.pop(int(quoted(stanza, b" id='", received)), None)
            if at is None:
                self.repeated += 1
                return
            if self.plan.flight == "receipted":
                session.flight -= 1
            self.receipted += 1
            self.to_receipted.add(now - at)
            return
        if b" type='error'" in stanza[: stanza.find(b">")]:
            raise LoadError(f"user {session.index}: refused: {stanza[-300:]!r}")
        sender = quoted(stanza, b" from='", 0)
        number = quoted(stanza, b" id='", 0)
        body = stanza.index(b"<body>") + 6
        self.to_deliver.add(now - int(stanza[body : body + _TIME_DIGITS], 16))
        if int(number) > session.newest.get(sender, 0):
            session.newest[sender] = int(number)
            self.delivered += 1
        else:
            self.repeated += 1
        session.receipts += 1
        session.stanzas_out += 1
        out.append(
            b"<message to='%b' type='chat' id='r%d%b%b'/></message>"
            % (sender, session.receipts, RECEIVED, number)
        )

    def _take_accepted(self, session: XmppSession, position: int, now: int) -> None:
        while session.unaccepted and session.unaccepted[0][0] <= position:
            _, at, count = session.unaccepted.popleft()
            if self.plan.flight == "accepted":
                session.flight -= count
            self.accepted += count
            for _ in range(count):
                self.to_accepted.add(now - at)

    def _log_in(self, session: XmppSession, data: bytes, out: list[bytes]) -> int:
        """One step of the login if it is complete; returns how far `data` is used up."""
        used, answer = login_step(session.index, session.step, data, managed=self._managed)
        if used:
            out.append(answer)
            session.step += 1
            session.stanzas_out = 1 if session.step == PRESENT else 0
        return used


def login_step(index: int, step: int, data: bytes, *, managed: bool) -> tuple[int, bytes]:
    """One step of a user's login, the first being 0: how much of `data` completes it, and what is said then. 0: it
    isn't complete. After the last one, step is PRESENT, and one stanza is out: the presence.

    Raises:
        LoadError: the server refuses.
    """
    found = data.find(_AWAITED[step])
    if found < 0:
        if b"<failure" in data or b"<stream:error" in data:
            raise LoadError(f"user {index}: login refused: {data[-300:]!r}")
        return 0, b""
    secret = b64encode(f"\0{xmpp_name(index)}\0{XMPP_PASSWORD}".encode())
    ready = _ENABLE + b"<presence/>" if managed else b"<presence/>"
    answer = (_SASL + secret + b"</auth>", OPEN, _BIND, ready)[step]
    return found + len(_AWAITED[step]), answer


def quoted(stanza: bytes, name: bytes, start: int) -> bytes:
    """The value of the first attribute after `start` that `name` introduces."""
    first = stanza.index(name, start) + len(name)
    return stanza[first : stanza.index(b"'", first)]
