"""A node's semantics written down plainly, for two client cores to talk through. No speed, no I/O.

It keeps promises (what it accepted survives `crash`) and makes trouble on request: busy, refusals, lost sends,
crashes that lose everything not flushed. Every frame of either side goes through the real codec.
"""

import copy
from typing import Any

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from node.wire import errors, verbs
from node.wire.codec import decode_client, decode_server, encode
from node.wire.limits import FRAME_MAX
from node.wire.login import login_message

Frame = tuple[Any, ...]
PairKey = tuple[int, int, bytes]


def through_the_wire(frame: Frame, *, from_client: bool) -> Frame:
    """The frame as the other side decodes it; fails if the schema doesn't allow it."""
    frames: list[Frame] = []
    data = encode(frame)
    assert (decode_client if from_client else decode_server)(data, FRAME_MAX, frames) == len(data)
    return frames[0]


@attrs.define
class Account:
    key: bytes
    stream: bytes
    generation: int


@attrs.define
class Pair:
    """stored: accepted or about to be; gone: acked by the recipient, or skipped; told_*: receipts confirmed."""

    high: int = 0
    stored: dict[int, bytes] = attrs.Factory(dict)
    gone: set[int] = attrs.Factory(set)
    expired: set[int] = attrs.Factory(set)
    read: int = 0
    told_gone: set[int] = attrs.Factory(set)
    told_expired: set[int] = attrs.Factory(set)
    told_read: int = 0


@attrs.define
class Disk:
    accounts: dict[int, Account] = attrs.Factory(dict)
    pairs: dict[PairKey, Pair] = attrs.Factory(dict)


@attrs.define(eq=False)
class Session:
    """One connection. out: frames for the client, oldest first."""

    nonce: bytes
    certificate: bytes = b""
    out: list[Frame] = attrs.Factory(list)
    user: int | None = None
    closed: bool = False
    greeted: bool = False
    offered: dict[PairKey, set[int]] = attrs.Factory(dict)
    unacked: set[tuple[PairKey, int]] = attrs.Factory(set)


class FakeNode:
    """faults: what happens to the next sends, in turn: "busy", "refuse", "lose" or "" (nothing).

    As a real node, it refuses only a number that it could take. So where a client sends a number twice because it went
    back for an earlier one, the first copy can't be refused and the second taken; where it had no answer, it can.
    """

    def __init__(self, window: int = 8) -> None:
        self.window = window
        self.memory = Disk()
        self.disk = Disk()
        self.pins: dict[int, str] = {}
        self.sessions: dict[int, Session] = {}
        self.faults: list[str] = []
        self.limits: dict[int, int] = {}
        """verb → error code: the next such frame is refused with it."""
        self.drop_after: set[int] = set()
        """verbs: the next such frame is acted upon, but its answer is lost with the connection."""
        self.owed: list[tuple[Session, Frame]] = []
        """What is said once it is on disk."""
        self.accepted: dict[tuple[PairKey, int], bytes] = {}
        """Everything ever accepted as a message, whoever crashed since: what must not be lost."""
        self.numbers: dict[PairKey, dict[int, bytes | None]] = {}
        """Everything ever seen: a number never carries two messages."""
        self._nonces = 0

    # ---- life ----------------------------------------------------------------------------------------

    def connect(self, certificate: bytes = b"") -> Session:
        self._nonces += 1
        return Session(self._nonces.to_bytes(32, "big"), certificate)

    def disconnect(self, session: Session) -> None:
        session.closed = True
        if session.user is not None and self.sessions.get(session.user) is session:
            del self.sessions[session.user]

    def crash(self) -> None:
        """Lose what wasn't flushed, and every session."""
        for session in list(self.sessions.values()):
            self.disconnect(session)
        self.owed.clear()
        self.memory = copy.deepcopy(self.disk)

    def flush(self) -> None:
        """The commit: what is in memory is on disk, and may be said."""
        self.disk = copy.deepcopy(self.memory)
        owed, self.owed = self.owed, []
        for session, frame in owed:
            if frame[0] == verbs.ACCEPTED:
                self._note_accepted(session, frame)
            self._say(session, frame)
        for session in list(self.sessions.values()):
            self._receipts(session)

    def expire(self, recipient: int) -> None:
        """Age limit: what waits for this user is dropped, and the senders are told."""
        for (to, _, _), pair in self.memory.pairs.items():
            if to == recipient:
                pair.expired |= set(pair.stored)
                pair.stored.clear()
        self.flush()

    # ---- frames --------------------------------------------------------------------------------------

    def receive(self, session: Session, frame: Frame) -> None:
        frame = through_the_wire(frame, from_client=True)
        if session.closed:
            return
        verb = frame[0]
        if verb in self.limits:
            code = self.limits.pop(verb)
            self._error(session, code, retry=5_000)
        elif verb == verbs.HELLO:
            session.greeted = True
            self._say(session, (verbs.HELLO, 1, (), session.nonce, FRAME_MAX, self.window, "fake"))
        elif not session.greeted:
            self._error(session, errors.UNEXPECTED)
        elif verb == verbs.PIN:
            self.pins[frame[1]] = "123456"
            self._say(session, (verbs.PIN, frame[1], 60_000, 600_000))
        elif verb == verbs.REGISTER:
            self._register(session, *frame[1:])
        elif verb == verbs.LOGIN:
            self._login(session, *frame[1:])
        elif verb == verbs.PING:
            if not frame[1]:
                self._say(session, (verbs.PING, True, frame[2]))
        elif session.user is None:
            self._error(session, errors.LOGIN_FIRST)
        else:
            self._mail(session, verb, frame)
        if verb in self.drop_after:
            self.drop_after.discard(verb)
            session.out.clear()
            self.disconnect(session)

    def _register(self, session: Session, user: int, pin: str, key: bytes, stream: bytes) -> None:
        former = self.memory.accounts.get(user)
        if self.pins.get(user) == pin and former and former.stream == stream:
            self._error(session, errors.STREAM_REUSED)
            return
        if self.pins.pop(user, None) != pin:
            self._error(session, errors.PIN_REFUSED)
            return
        generation = former.generation + 1 if former else 1
        self.memory.accounts[user] = Account(key, stream, generation)
        if user in self.sessions:
            self._error(self.sessions[user], errors.SUPERSEDED)
        self.expire(user)
        self._say(session, (verbs.REGISTER, user, generation))

    def _login(self, session: Session, user: int, signature: bytes) -> None:
        account = self.memory.accounts.get(user)
        try:
            assert account is not None
            Ed25519PublicKey.from_public_bytes(account.key).verify(
                signature, login_message(user, session.nonce, session.certificate)
            )
        except (AssertionError, InvalidSignature):
            self._error(session, errors.UNAUTHORISED)
            return
        if user in self.sessions:
            self._error(self.sessions[user], errors.SUPERSEDED)
        session.user = user
        self.sessions[user] = session
        backlog = sum(len(pair.stored) for key, pair in self.memory.pairs.items() if key[0] == user)
        self._say(session, (verbs.LOGIN, 0, 1, backlog))
        self._receipts(session)
        self._offer(session)

    def _mail(self, session: Session, verb: int, frame: Frame) -> None:
        assert session.user is not None
        peer, stream = frame[1], frame[2]
        if verb in (verbs.SEND, verbs.SKIP):
            body = frame[5] if verb == verbs.SEND else None
            self._send(session, (peer, session.user, stream), frame[3], frame[4], body)
        elif verb == verbs.ACK:
            self._ack(session, (session.user, peer, stream), frame[3], frame[4])
        elif verb == verbs.READ:
            pair = self.memory.pairs.setdefault((session.user, peer, stream), Pair())
            pair.read = max(pair.read, frame[3])
            self.owed.append((session, (verbs.CONFIRM, peer, stream, verbs.KIND_READ, 1, frame[3])))
        elif verb == verbs.CONFIRM:
            self._confirmed((peer, session.user, stream), *frame[3:])
        else:
            self._error(session, errors.UNEXPECTED)

    def _send(self, session: Session, key: PairKey, number: int, base: int, body: bytes | None) -> None:
        recipient, user, stream = key
        assert stream == self.memory.accounts[user].stream, "a stream that isn't registered"
        pair = self.memory.pairs.setdefault(key, Pair())
        fault = self.faults.pop(0) if self.faults else ""
        known = number in pair.stored or number in pair.gone or number in pair.expired
        if fault == "busy":
            self._say(session, (verbs.BUSY, recipient, stream, number, 500))
        elif fault == "lose":
            pass  # the next number is answered by gap; or nothing is, and the client loses patience
        elif known:
            self._same(key, number, body)
            self._answer_known(session, key, number)
        elif not (number == pair.high + 1 or number == base or number < pair.high):
            self._say(session, (verbs.GAP, recipient, stream, pair.high))
        elif fault == "refuse" and body is not None and number not in self.numbers.get(key, {}):
            self._error(session, errors.MAILBOX_FULL, retry=5_000, about=(recipient, stream, number))
        else:
            self._same(key, number, body)
            pair.high = max(pair.high, number)
            if body is None:
                pair.gone.add(number)
                pair.told_gone.add(number)
            else:
                pair.stored[number] = body
                if recipient in self.sessions:
                    self._offer(self.sessions[recipient])
            self.owed.append((session, (verbs.ACCEPTED, recipient, stream, number, number, verbs.ONE_COPY)))

    def _same(self, key: PairKey, number: int, body: bytes | None) -> None:
        seen = self.numbers.setdefault(key, {})
        assert seen.setdefault(number, body) == body, "a number of a stream was used for two messages"

    def _answer_known(self, session: Session, key: PairKey, number: int) -> None:
        on_disk = self.disk.pairs.get(key, Pair())
        pair = self.memory.pairs[key]
        how = verbs.DELIVERED if number in pair.gone else verbs.ONE_COPY
        frame = (verbs.ACCEPTED, key[0], key[2], number, number, how)
        if number in on_disk.stored or number in on_disk.gone or number in on_disk.expired:
            self._note_accepted(session, frame)
            self._say(session, frame)
        else:
            self.owed.append((session, frame))

    def _ack(self, session: Session, key: PairKey, first: int, last: int) -> None:
        pair = self.memory.pairs.setdefault(key, Pair())  # it may know of a message that a crash took from us
        for number in range(first, last + 1):
            session.unacked.discard((key, number))
            if number in pair.gone or number in pair.expired:
                continue
            pair.stored.pop(number, None)
            pair.gone.add(number)
            pair.high = max(pair.high, number)
            sender = self.sessions.get(key[1])
            frame = (verbs.ACCEPTED, key[0], key[2], number, number, verbs.ONE_COPY)
            if (
                sender is not None and (sender, frame) in self.owed
            ):  # acked before it was written: delivered at once
                self.owed.remove((sender, frame))
                self._note_body(key, number)
                pair.told_gone.add(number)
                self._say(sender, (*frame[:5], verbs.DELIVERED))
        self.owed.append((session, (verbs.CONFIRM, key[1], key[2], verbs.KIND_DELIVERED, first, last)))
        self._offer(session)

    def _confirmed(self, key: PairKey, kind: int, first: int, last: int) -> None:
        pair = self.memory.pairs[key]
        if kind == verbs.KIND_DELIVERED:
            pair.told_gone |= set(range(first, last + 1))
        elif kind == verbs.KIND_EXPIRED:
            pair.told_expired |= set(range(first, last + 1))
        else:
            pair.told_read = max(pair.told_read, last)

    # ---- out -----------------------------------------------------------------------------------------

    def _offer(self, session: Session) -> None:
        """Deliver what waits for this user, in order for each pair, as far as the window allows."""
        assert session.user is not None
        for key, pair in self.memory.pairs.items():
            if key[0] != session.user:
                continue
            offered = session.offered.setdefault(key, set())
            for number in sorted(pair.stored):
                if len(session.unacked) >= self.window:
                    return
                if number not in offered:
                    late = int(any(other > number for other in offered))
                    offered.add(number)
                    session.unacked.add((key, number))
                    frame = (verbs.DELIVER, key[1], key[2], number, late, 0, pair.stored[number])
                    self._say(session, frame)

    def _receipts(self, session: Session) -> None:
        for (recipient, sender, stream), pair in self.disk.pairs.items():
            if sender != session.user:
                continue
            head = (verbs.RECEIPT, recipient, stream)
            live = self.memory.pairs[recipient, sender, stream]
            for number in sorted(pair.gone - live.told_gone):
                self._say(session, (*head, verbs.KIND_DELIVERED, number, number))
            for number in sorted(pair.expired - live.told_expired):
                self._say(session, (*head, verbs.KIND_EXPIRED, number, number))
            if pair.read > live.told_read:
                self._say(session, (*head, verbs.KIND_READ, 1, pair.read))

    def _note_accepted(self, session: Session, frame: Frame) -> None:
        assert session.user is not None
        self._note_body((frame[1], session.user, frame[2]), frame[3])

    def _note_body(self, key: PairKey, number: int) -> None:
        body = self.numbers[key][number]
        if body is not None:
            self.accepted[key, number] = body

    def _error(
        self, session: Session, code: int, retry: int = 0, about: tuple[int, bytes, int] | None = None
    ) -> None:
        entry = errors.REGISTRY[code]
        self._say(session, (verbs.ERROR, code, entry.text, retry if entry.retry else 0, about))
        if entry.closes:
            self.disconnect(session)

    def _say(self, session: Session, frame: Frame) -> None:
        if not session.closed:
            session.out.append(through_the_wire(frame, from_client=False))
