"""The client's state machine: frames and commands in; writes, frames and events out.

No I/O, no clock (the caller says what time it is), no chance (the caller gives the random source), so that tests
can crash it between any two steps. The contract with the driver is `ready()`: commit the writes, then send the
frames, then tell the events; if the process dies anywhere in between, a new core on what was committed repeats
nothing to the app and loses nothing. This module must never know of sockets, files or event loops.
"""

from random import Random
from typing import Any

from client.effects import Effects, Ready
from client.errors import NotRegistered, login_refused
from client.events import Close, Moved, Receipt
from client.identity import Identity
from client.login import FINAL, Login, Phase
from client.receiving import Receiving
from client.records import Frame, Snapshot
from client.sending import Sending
from client.settings import Settings
from node.wire import errors, verbs
from node.wire.limits import TOKEN_MAX

_BUSY_CODES = frozenset({errors.RATE_LIMITED, errors.OVERLOADED})
"""About one message these mean: the same again later. Everything else about a message is a refusal."""


class Core:
    """One device. Methods take `now`, in seconds of a clock that never goes back, where time matters."""

    def __init__(self, snapshot: Snapshot, settings: Settings, random: Random) -> None:
        self._effects = Effects()
        self._settings = settings
        self.login = Login(self._effects, settings)
        self.sending = Sending(self._effects, settings, random)
        self.receiving = Receiving(self._effects, settings)
        self.login.restore(snapshot)
        stream = self.login.identity.stream if self.login.identity else None
        self.sending.restore(snapshot, stream)
        self.receiving.restore(snapshot)
        self.ignored = 0
        """Frames that made no sense here and did no harm."""
        self._heard_at = 0.0
        self._ping_due: float | None = None
        self._token = 0

    # ---- what the app does ---------------------------------------------------------------------------

    def request_pin(self, now: float, candidate: Identity, *, anew: bool = False) -> None:
        """See `Login.request_pin`."""
        self.login.request_pin(now, candidate, anew=anew)

    def register(self, now: float, pin: str) -> None:
        """See `Login.register`."""
        self.login.register(now, pin)

    def send(self, recipient: int, body: bytes, wall: float) -> int:
        """Number a message and put it in the outbox; it is safe when the next `ready()` is committed.

        Args:
            wall: Unix time in seconds; a message is given up by it, long after (`give_up`).

        Raises:
            NotRegistered, LoginRefused: there is no device to send from.
            BodyTooLarge, OutboxFull, TooManyRecipients: nothing was taken.
        """
        if self.login.identity is None:
            raise NotRegistered("there is no device yet")
        if self.login.stopped is not None:
            raise login_refused(self.login.stopped)
        return self.sending.send(recipient, body, wall)

    def take(self, message_id: int) -> None:
        """The app has this message."""
        self.receiving.take(message_id)

    def mark_read(self, sender: int, stream: bytes, upto: int) -> None:
        """The user has read this far."""
        self.receiving.mark_read(sender, stream, upto)

    def take_news(self, receipt: Receipt) -> None:
        """The app was told this."""
        self.sending.take_news(receipt)

    # ---- what the connection does --------------------------------------------------------------------

    def connect(self, now: float, certificate_sha256: bytes) -> None:
        """A connection is open."""
        self._heard_at, self._ping_due = now, None
        self.login.connect(now, certificate_sha256)

    def disconnect(self) -> None:
        """The connection is gone; frames already handed out are not sent any more."""
        self.login.disconnect()
        self.sending.stop()
        self.receiving.stop()
        self._effects.frames.clear()

    def advance(self, now: float) -> None:
        """Time has passed."""
        self.login.advance(now)
        self.sending.advance(now)
        self.receiving.advance(now)
        if self.login.phase is Phase.ONLINE:
            if self._ping_due is not None:
                if self._ping_due <= now:
                    self._heard_at, self._ping_due = now, None
                    self._effects.events.append(Close("the server is silent"))
            elif now - self._heard_at >= self._settings.ping_after:
                self._ping_due = now + self._settings.ping_timeout
                self._token = (self._token + 1) & TOKEN_MAX
                self._effects.frames.append((verbs.PING, False, self._token))

    def give_up(self, wall: float) -> None:
        """Fail what has been unaccepted for too long. Worth calling at each connection and once in a while."""
        self.sending.give_up(wall - self._settings.retry_max)

    @property
    def pending(self) -> int:
        """Writes and frames gathered and not yet taken; what a driver limits its reading by."""
        return len(self._effects.writes) + len(self._effects.frames)

    def deadline(self) -> float | None:
        """When `advance` has something to do next, if nothing else happens."""
        due = [self.login.deadline, self.sending.deadline, self.receiving.deadline]
        if self.login.phase is Phase.ONLINE:
            due.append(self._ping_due or self._heard_at + self._settings.ping_after)
        if self._effects.lazy_since is not None:
            due.append(self._effects.lazy_since + self._settings.lazy_delay)
        return min((when for when in due if when is not None), default=None)

    def ready(self, now: float, *, flush: bool = False) -> Ready:
        """What is to be done now. `flush` takes along the writes that could wait."""
        self.receiving.gather(now)
        if self.login.phase is Phase.ONLINE:
            self.sending.transmit(now)
        self.sending.gather()
        effects = self._effects
        if effects.writes and effects.lazy_since is None:
            effects.lazy_since = now
        waited = effects.lazy_since is not None and now - effects.lazy_since >= self._settings.lazy_delay
        flush = flush or waited or len(effects.writes) >= self._settings.lazy_writes_max
        return effects.take(flush=flush)

    # ---- what the node says --------------------------------------------------------------------------

    def receive(self, now: float, frame: Frame) -> None:
        """One checked frame of the server."""
        self._heard_at, self._ping_due = now, None
        verb = frame[0]
        if self.login.phase is Phase.ONLINE:
            if self._receive_mail(now, verb, frame):
                return
        elif verb in _MAIL:
            self._effects.events.append(Close(f"verb {verb} while {self.login.phase.value}"))
            return
        self._receive_other(now, verb, frame)

    def check(self) -> None:
        """What must hold after every step."""
        self.sending.check()
        self.receiving.check()
        if self.login.phase is not Phase.ONLINE:
            assert self.sending.flight.count == 0
        identity = self.login.identity
        assert self.sending.stream == (identity.stream if identity else None)

    # ---- inside --------------------------------------------------------------------------------------

    def _receive_mail(self, now: float, verb: int, frame: Frame) -> bool:
        arguments: tuple[Any, ...] = frame[1:]
        if verb == verbs.DELIVER:
            self.receiving.on_deliver(*arguments)
        elif verb == verbs.ACCEPTED:
            self.sending.on_accepted(now, *arguments)
        elif verb == verbs.RECEIPT:
            self.sending.on_receipt(*arguments)
        elif verb == verbs.CONFIRM:
            self.receiving.on_confirm(*arguments)
        elif verb == verbs.GAP:
            self.sending.on_gap(now, *arguments)
        elif verb == verbs.BUSY:
            recipient, stream, number, retry_ms = arguments
            self.sending.on_busy(now, recipient, stream, number, retry_ms / 1000)
        elif verb == verbs.ERROR and frame[4] is not None:
            self._refuse(now, *arguments)
        else:
            return False
        return True

    def _refuse(
        self, now: float, code: int, _text: str, retry_ms: int, about: tuple[int, bytes, int]
    ) -> None:
        retry = retry_ms / 1000
        if code in FINAL:
            self.login.stop(code)
            self._effects.events.append(Close(_name(code)))
        elif code in _BUSY_CODES:
            self.sending.on_busy(now, *about, retry)
        elif code in errors.REGISTRY and errors.REGISTRY[code].closes:
            self._effects.events.append(Close(_name(code), retry))
        else:
            self.sending.on_refused(now, *about, code, retry)

    def _receive_other(self, now: float, verb: int, frame: Frame) -> None:
        if verb == verbs.HELLO:
            self.login.on_hello(now, frame)
        elif verb == verbs.PIN:
            self.login.on_pin_sent(now, frame[2] / 1000, frame[3] / 1000)
        elif verb == verbs.REGISTER:
            self._begin(self.login.on_registered(now, frame[2]))
        elif verb == verbs.LOGIN:
            self._begin(self.login.on_welcome(frame[3]))
            if self.login.phase is Phase.ONLINE:
                self.receiving.start(self.login.window)
                self.sending.start()
        elif verb == verbs.PING:
            if not frame[1]:
                self._effects.frames.append((verbs.PING, True, frame[2]))
        elif verb == verbs.BYE:
            self._effects.events.append(Close("the server said goodbye", frame[2] / 1000))
        elif verb == verbs.MOVED and self.login.phase is Phase.ONLINE:
            self._effects.events.append(Moved(frame[1], frame[2]))
        elif verb == verbs.ERROR:
            self._on_error(now, frame[1], frame[3] / 1000)
        else:  # a later version may say more
            self.ignored += 1

    def _on_error(self, now: float, code: int, retry: float) -> None:
        online = self.login.phase is Phase.ONLINE
        entry = errors.REGISTRY.get(code)
        if self.login.on_error(now, code, retry):
            return
        if online and (entry is None or not entry.closes) and code not in FINAL:
            self.ignored += 1  # the server goes on, and what it didn't do is said again at the next login
            return
        self._effects.events.append(Close(_name(code), retry))

    def _begin(self, device: Identity | None) -> None:
        if device is not None:
            self.sending.begin_stream(device.stream)
            self.receiving.begin_device()


_MAIL = frozenset({verbs.DELIVER, verbs.ACCEPTED, verbs.RECEIPT, verbs.CONFIRM, verbs.GAP, verbs.BUSY})


def _name(code: int) -> str:
    entry = errors.REGISTRY.get(code)
    return entry.name if entry else f"error {code}"
