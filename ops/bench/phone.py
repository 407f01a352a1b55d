"""The load generator's Waystation dialect: a phone without its database.

It does all that the protocol asks of a client while it is connected: numbers per recipient, `base`, acks, confirms,
resending after gap and busy; and it checks that each message is delivered once and in order. It doesn't keep
anything beyond the connection. This module must never know how the server works.
"""

from hashlib import sha256
from ssl import SSLSocket
from typing import Any, Final

from node.wire.codec import decode_server, encode
from node.wire.limits import FRAME_MAX
from node.wire.login import login_message
from node.wire.verbs import (
    ACCEPTED,
    ACK,
    BUSY,
    BYE,
    CONFIRM,
    DELIVER,
    DELIVERED,
    ERROR,
    GAP,
    HELLO,
    KIND_DELIVERED,
    LOGIN,
    PING,
    RECEIPT,
    SEND,
)
from ops.bench.engine import Engine
from ops.bench.identities import device_key, index_of, number_of, stream_of
from ops.bench.session import READY, LoadError, Session

_HELLO: Final = encode((HELLO, 1, 1, (), "waystation bench"))
_RETRY_CAPS_MS: Final = 60_000


class Pair:
    """What a sender knows of one recipient.

    Attributes:
        unaccepted, unreceipted: n → when it was due, of what was sent but not yet accepted; of what was accepted
            as stored but not yet receipted. Oldest first.
    """

    __slots__ = ("number", "recipient", "unaccepted", "unreceipted")

    def __init__(self, recipient: int) -> None:
        self.recipient = recipient
        self.number = 1
        self.unaccepted: dict[int, int] = {}
        self.unreceipted: dict[int, int] = {}


class PhoneSession(Session):
    """A connection with its pairs.

    Attributes:
        ring: the pairs in the order in which messages go to them.
        newest: sender → the highest n delivered here.
    """

    __slots__ = ("newest", "pairs", "ring", "stream")

    def __init__(self, index: int, partners: list[int]) -> None:
        super().__init__(index, len(partners))
        self.ring = [Pair(number_of(partner)) for partner in partners]
        self.pairs = {pair.recipient: pair for pair in self.ring}
        self.newest: dict[int, int] = {}
        self.stream = stream_of(index)


class PhoneEngine(Engine):
    """Phones of Waystation."""

    _filler = b""

    def session(self, index: int) -> PhoneSession:
        """A new session of this user."""
        self._filler = bytes(self.plan.body_bytes - 8)
        return PhoneSession(index, self.plan.shape.partners_of(index))

    def greet(self, session: PhoneSession) -> bytes:
        """The hello frame."""
        return _HELLO

    def compose(self, session: PhoneSession, count: int, at: int) -> bytes:
        """Send frames to the session's pairs in turn."""
        session.flight += count
        body = at.to_bytes(8, "big") + self._filler
        ring, stream = session.ring, session.stream
        size = len(ring)
        turn = session.turn
        out = []
        for _ in range(count):
            pair = ring[turn]
            turn = turn + 1 if turn + 1 < size else 0
            number = pair.number
            pair.number = number + 1
            unaccepted = pair.unaccepted
            unaccepted[number] = at
            out.append(encode((SEND, pair.recipient, stream, number, next(iter(unaccepted)), body)))
        session.turn = turn
        return out[0] if count == 1 else b"".join(out)

    def receive(self, session: PhoneSession, data: bytes, now: int) -> bytes:
        """Handle every complete frame; answer with the acks, one for each unbroken run of numbers."""
        if session.remainder:
            data = session.remainder + data
        frames: list[tuple[Any, ...]] = []
        used = decode_server(data, FRAME_MAX, frames)
        session.remainder = data[used:]
        out: list[bytes] = []
        run_sender = run_first = run_last = 0
        run_stream = b""
        newest, counts = session.newest, self.to_deliver.counts
        for frame in frames:
            verb = frame[0]
            if verb == DELIVER:
                _, sender, stream, number, _, _, body = frame
                late = now - int.from_bytes(body[:8], "big")
                if 0 <= late < 1024:
                    counts[late] = counts.get(late, 0) + 1
                else:
                    self.to_deliver.add(late)
                if number == run_last + 1 and sender == run_sender and stream == run_stream:
                    run_last = number
                else:
                    if run_last:
                        out.append(encode((ACK, run_sender, run_stream, run_first, run_last)))
                    run_sender, run_stream, run_first, run_last = sender, stream, number, number
                if number == newest.get(sender, 0) + 1:
                    newest[sender] = number
                    self.delivered += 1
                else:
                    self._count_odd(newest, sender, number)
            elif verb == ACCEPTED:
                self._take_accepted(session, frame, now)
            else:
                self._take_other(session, frame, now, out)
        if run_last:
            out.append(encode((ACK, run_sender, run_stream, run_first, run_last)))
        return out[0] if len(out) == 1 else b"".join(out)

    def _count_odd(self, newest: dict[int, int], sender: int, number: int) -> None:
        if number <= newest.get(sender, 0):
            self.repeated += 1
        else:
            self.disordered += 1
            self.delivered += 1
            newest[sender] = number

    def _take_accepted(self, session: PhoneSession, frame: tuple[Any, ...], now: int) -> None:
        _, recipient, _, first, last, how = frame
        pair = session.pairs[recipient]
        unaccepted = pair.unaccepted
        for number in range(first, last + 1):
            at = unaccepted.pop(number, None)
            if at is not None:
                self.accepted += 1
                self.to_accepted.add(now - at)
                if how != DELIVERED:
                    pair.unreceipted[number] = at
                    if self.plan.flight == "accepted":
                        session.flight -= 1
                    continue
                session.flight -= 1
            elif how != DELIVERED or (at := pair.unreceipted.pop(number, None)) is None:
                continue
            elif self.plan.flight == "receipted":
                session.flight -= 1
            self.receipted += 1
            self.to_receipted.add(now - at)

    def _take_other(self, session: PhoneSession, frame: tuple[Any, ...], now: int, out: list[bytes]) -> None:
        match frame[0]:
            case verb if verb == RECEIPT:
                self._take_receipt(session, frame, now)
                out.append(encode((CONFIRM, *frame[1:])))
            case verb if verb == CONFIRM:
                pass
            case verb if verb == GAP:
                _, recipient, _, high = frame
                self._resend(session, session.pairs[recipient], high + 1)
            case verb if verb == BUSY:
                _, recipient, _, number, retry_ms = frame
                pair = session.pairs[recipient]
                seconds = min(retry_ms, _RETRY_CAPS_MS) / 1000
                self.later(seconds, lambda: self._resend(session, pair, number))
            case verb if verb == PING:
                _, answer, token = frame
                if not answer:
                    out.append(encode((PING, True, token)))
            case verb if verb == HELLO:
                out.append(self._sign(session, frame[3]))
            case verb if verb == LOGIN:
                self.ready(session)
            case verb if verb in (BYE, ERROR):
                self._take_refusal(session, frame)
            case verb:
                raise LoadError(f"user {session.index}: unexpected verb {verb}")

    def _take_receipt(self, session: PhoneSession, frame: tuple[Any, ...], now: int) -> None:
        _, recipient, _, kind, first, last = frame
        if kind != KIND_DELIVERED:
            raise LoadError(f"user {session.index}: a receipt of kind {kind} for {first} to {last}")
        pair = session.pairs[recipient]
        in_flight = self.plan.flight == "receipted"
        for number in range(first, last + 1):
            at = pair.unreceipted.pop(number, None)
            if at is None:
                at = pair.unaccepted.pop(number, None)
                if at is None:
                    continue
                self.accepted += 1
                session.flight -= 1
            elif in_flight:
                session.flight -= 1
            self.receipted += 1
            self.to_receipted.add(now - at)

    def _resend(self, session: PhoneSession, pair: Pair, number: int) -> None:
        """Send again what is unaccepted from `number` on, the same bytes as before."""
        base = next(iter(pair.unaccepted), 0)
        out = [
            encode((SEND, pair.recipient, session.stream, n, base, at.to_bytes(8, "big") + self._filler))
            for n, at in pair.unaccepted.items()
            if n >= number
        ]
        self.resent += len(out)
        if out:
            self.write(session, b"".join(out))

    def _sign(self, session: PhoneSession, nonce: bytes) -> bytes:
        certificate = b""
        if isinstance(session.sock, SSLSocket):
            certificate = sha256(session.sock.getpeercert(binary_form=True) or b"").digest()
        number = number_of(session.index)
        signature = device_key(session.index).sign(login_message(number, nonce, certificate))
        return encode((LOGIN, number, signature))

    def _take_refusal(self, session: PhoneSession, frame: tuple[Any, ...]) -> None:
        if frame[0] == BYE:
            reason, retry_ms = f"bye, code {frame[1]}", frame[2]
        else:
            reason, retry_ms = f"error {frame[1]}: {frame[2]}", frame[3]
            if frame[4] is not None:
                recipient, _, number = frame[4]
                reason += f" (message {number} to user {index_of(recipient)})"
        if session.state == READY or not retry_ms:
            raise LoadError(f"user {session.index}: {reason}")
        self.put_off(session, retry_ms / 1000)
