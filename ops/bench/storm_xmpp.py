"""A phone of a storm that speaks XMPP: it logs in, writes to one user, answers receipts, and acknowledges stanzas where
streams are managed (XEP-0198).

It comes back by the same rule as ours, and to a new session: the old one was in the node that is gone. What it sends
goes to the bare address, for it doesn't know where the other one is now. This module must never know what is measured.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from ops.bench.identities import xmpp_name
from ops.bench.storm_line import OPEN, Line, Place
from ops.bench.xmpp import ASK, HOST, PRESENT, RECEIVED, REQUEST, login_step, quoted
from ops.bench.xmpp import OPEN as STREAM

_ONLINE: Final = PRESENT + 1
_UNSENT_MAX: Final = 10_000
"""Messages kept by one phone that isn't logged in."""


class XmppPhone(Line):
    """One device. unaccepted: (position of the stanza, number of the message), oldest first."""

    __slots__ = (
        "_managed",
        "_number",
        "_remainder",
        "_step",
        "_unaccepted",
        "_unsent",
        "stanzas_in",
        "stanzas_out",
    )

    def __init__(self, place: Place, *, managed: bool) -> None:
        super().__init__(place)
        self._managed = managed
        self._number = self._step = self.stanzas_in = self.stanzas_out = 0
        self._remainder = b""
        self._unaccepted: deque[tuple[int, int]] = deque()
        self._unsent: deque[bytes] = deque(maxlen=_UNSENT_MAX)

    def send(self, to: int, body: bytes, now: float) -> int:
        self._number += 1
        number = self._number
        text = body.replace(b"\0", b"x")
        self._unsent.append(
            b"<message to='%b@%b' type='chat' id='%d'><body>%b" % (xmpp_name(to).encode(), HOST, number, text)
            + REQUEST
        )
        self.tick(now)
        return number

    def begin(self, now: float) -> None:
        self._step, self._remainder = 0, b""
        self.stanzas_in = self.stanzas_out = 0
        self.due = now + self._settings.answer_timeout
        self._watch.timed(self)
        self.write(b"<?xml version='1.0'?>" + STREAM)

    def take(self, now: float, data: bytes) -> None:
        data = self._remainder + data
        position = 0
        while self._step < PRESENT:
            used, answer = login_step(self.user, self._step, data[position:], managed=self._managed)
            if not used:
                break
            position += used
            self._step += 1
            self.stanzas_out = 1 if self._step == PRESENT else 0
            self.write(answer)
        if self._step >= PRESENT:
            asked = False
            for name, stanza, end in _stanzas(data, position):
                position = end
                asked |= name == b"r"
                self._take_stanza(name, stanza, now)
            if asked and self.state == OPEN:
                self.write(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % self.stanzas_in)
        self._remainder = data[position:]

    def tick(self, now: float) -> None:
        if self.state != OPEN:
            return
        if self._step != _ONLINE:
            if self.due is not None and now >= self.due:
                self._watch.put_off(self, "no answer", 0.0)
                self.hang_up(now, 0.0)
            return
        while self._unsent:
            self.stanzas_out += 1
            stanza = self._unsent.popleft()
            if self._managed:
                self._unaccepted.append((self.stanzas_out, int(quoted(stanza, b" id='", 0))))
                stanza += ASK
            self.write(stanza)

    def forget(self) -> None:
        """What a server hasn't acknowledged isn't sent again: phones that write stay where they are."""
        self._unaccepted.clear()
        self._remainder = b""

    def _take_stanza(self, name: bytes, stanza: bytes, now: float) -> None:
        if name == b"a":
            position = int(quoted(stanza, b" h='", 0))
            while self._unaccepted and self._unaccepted[0][0] <= position:
                self._watch.accepted(self, self._unaccepted.popleft()[1])
        elif name == b"enabled":
            self.stanzas_in = 0
        elif name in (b"message", b"presence", b"iq"):
            self.stanzas_in += 1
            if self._step == PRESENT:
                self._step = _ONLINE
                self.due = None
                self._returning.online(now)
                self._watch.online(self)
            if name == b"message":
                self._take_message(stanza)

    def _take_message(self, stanza: bytes) -> None:
        if b" type='error'" in stanza[: stanza.find(b">")]:
            self._watch.returned(self, int(quoted(stanza, b" id='", 0)))
            return
        if b"<received " in stanza:
            return
        sender, number = quoted(stanza, b" from='", 0), quoted(stanza, b" id='", 0)
        self.stanzas_out += 1
        self.write(
            b"<message to='%b' type='chat' id='r%b%b%b'/></message>" % (sender, number, RECEIVED, number)
        )
        self._watch.arrived(self, int(sender.partition(b"@")[0][1:]), int(number))


def _stanzas(data: bytes, position: int) -> Iterator[tuple[bytes, bytes, int]]:
    """Each complete one: its name, itself, and where it ends."""
    while (start := data.find(b"<", position)) >= 0:
        head_end = data.find(b">", start)
        if head_end < 0:
            return
        end = head_end + 1
        name = data[start + 1 : head_end].rstrip(b"/").split(None, 1)[0]
        if data[head_end - 1] != 0x2F and not name.startswith(b"/"):  # "/>" ends an empty one
            closing = b"</" + name + b">"
            end = data.find(closing, head_end)
            if end < 0:
                return
            end += len(closing)
        position = end
        yield name, data[start:end], end
