"""From a new connection to `welcome`: hello, then a PIN request, a registration or a login, whichever is wanted.

    CLOSED → GREETING → READY → REQUESTING → READY → LOGGING_IN → ONLINE
                          └───────────────────────────↗
A request goes before a login. A registration whose answer was lost is found out by trying to log in with the new
key. This module must never know of mail.
"""

import enum
from typing import Final

import attrs

from client.effects import Effects
from client.errors import AlreadyRegistered, OtherNumber, PinNotRequested, RequestPending
from client.events import Close, Online, PinSent, Registered, RequestFailed, Stopped
from client.identity import Identity
from client.records import CANDIDATE, CURRENT, IDENTITY, Frame, Snapshot
from client.settings import Settings
from node.wire import errors, verbs
from node.wire.limits import WINDOW_MAX
from node.wire.negotiation import VERSION_HIGHEST, VERSION_LOWEST

FINAL: Final = frozenset(
    {
        errors.UNAUTHORISED,
        errors.SUPERSEDED,
        errors.BLOCKED,
        errors.UNSUPPORTED_VERSION,
        errors.STREAM_WRONG,
        errors.STREAM_REUSED,
    }
)
"""After these, logging in again by itself would be wrong or useless."""


class Phase(enum.Enum):
    """Where the connection is."""

    CLOSED = "closed"
    GREETING = "greeting"
    READY = "ready"
    REQUESTING = "requesting"
    LOGGING_IN = "logging in"
    ONLINE = "online"


@attrs.frozen
class _PinRequest:
    user: int


@attrs.frozen
class _Registration:
    pin: str = attrs.field(repr=False)
    uncertain: bool
    """An earlier registration with the same key may have succeeded."""


class Login:
    """identity: the registered device; stopped: the wire code after which nothing is tried any more."""

    def __init__(self, effects: Effects, settings: Settings) -> None:
        self.identity: Identity | None = None
        self.candidate: Identity | None = None
        self.phase = Phase.CLOSED
        self.stopped: int | None = None
        self.window = WINDOW_MAX
        """What the server's hello announced."""
        self._effects, self._settings = effects, settings
        self._request: _PinRequest | _Registration | None = None
        self._trying = False
        self._nonce = self._certificate = b""
        self._due: float | None = None

    def restore(self, snapshot: Snapshot) -> None:
        """Take up what the state held."""
        roles = {key[0]: Identity.of_row(row) for key, row in snapshot.identity}
        self.identity, self.candidate = roles.get(CURRENT), roles.get(CANDIDATE)

    @property
    def wants_connection(self) -> bool:
        """Whether there is anything to connect for."""
        return self._request is not None or (self.identity is not None and self.stopped is None)

    @property
    def deadline(self) -> float | None:
        """When `advance` has something to do."""
        return self._due

    # ---- what the app does ---------------------------------------------------------------------------

    def request_pin(self, now: float, candidate: Identity, *, anew: bool) -> None:
        """Ask for a PIN; the candidate becomes the device if it registers.

        Raises:
            AlreadyRegistered, OtherNumber, RequestPending: nothing was done.
        """
        self._check_request(anew=anew)
        if self.identity is not None and self.identity.user != candidate.user:
            raise OtherNumber(f"this state belongs to +{self.identity.user}")
        if self.candidate is None or self.candidate.user != candidate.user:
            self.candidate = candidate
            self._effects.write(candidate.write(CANDIDATE), urgent=True)
        if self.identity is not None and self.stopped is None:
            self.stopped = errors.UNAUTHORISED  # by ourselves: the old registration is given up
            if self.phase not in (Phase.CLOSED, Phase.GREETING):
                self._effects.events.append(Close("registering anew"))
        self._request = _PinRequest(candidate.user)
        self._proceed(now)

    def register(self, now: float, pin: str) -> None:
        """Register the candidate with the PIN.

        Raises:
            AlreadyRegistered, PinNotRequested, RequestPending: nothing was done.
        """
        self._check_request(anew=False)
        if self.candidate is None:
            raise PinNotRequested("no PIN was asked for")
        self._request = _Registration(pin, self.candidate.attempted)
        self._set_attempted(True)
        self._proceed(now)

    def cancel_request(self) -> None:
        """The app no longer waits for the answer."""
        self._request = None
        if self.phase is Phase.REQUESTING:
            self._effects.events.append(Close("the request was given up"))

    def reconnect(self) -> None:
        """Try again after a final refusal."""
        self.stopped = None

    # ---- what the connection does --------------------------------------------------------------------

    def connect(self, now: float, certificate_sha256: bytes) -> None:
        """A connection is open; the hash is empty on plain TCP."""
        assert self.phase is Phase.CLOSED
        self._certificate = certificate_sha256
        self._enter(Phase.GREETING, now)
        hello = (verbs.HELLO, VERSION_LOWEST, VERSION_HIGHEST, (), self._settings.agent)
        self._effects.frames.append(hello)

    def disconnect(self) -> None:
        """The connection is gone."""
        if self.phase is Phase.REQUESTING and isinstance(self._request, _Registration):
            self._request = attrs.evolve(self._request, uncertain=True)
        self.phase, self._due, self._trying = Phase.CLOSED, None, False

    def advance(self, now: float) -> None:
        """Give up where the server doesn't answer."""
        if self._due is not None and self._due <= now:
            self._due = None
            self._effects.events.append(Close(f"no answer while {self.phase.value}"))

    # ---- what the node says --------------------------------------------------------------------------

    def on_hello(self, now: float, frame: Frame) -> None:
        """The server's side of hello."""
        if self.phase is not Phase.GREETING:
            self._close_unexpected("hello")
            return
        self._nonce, self.window = frame[3], frame[5]
        self._enter(Phase.READY, now)
        self._proceed(now)

    def on_pin_sent(self, now: float, retry: float, valid: float) -> None:
        """The PIN is on its way."""
        if self.phase is not Phase.REQUESTING:
            self._close_unexpected("pin-sent")
            return
        self._request = None
        self._effects.events.append(PinSent(retry, valid))
        self._enter(Phase.READY, now)
        self._proceed(now)

    def on_registered(self, now: float, generation: int) -> Identity | None:
        """The candidate is the device now; returns it, for the mail to begin anew."""
        if self.phase is not Phase.REQUESTING or not isinstance(self._request, _Registration):
            self._close_unexpected("registered")
            return None
        device = self._promote(generation)
        self._enter(Phase.READY, now)
        self._proceed(now)
        return device

    def on_welcome(self, backlog: int) -> Identity | None:
        """Logged in. Returns the device if it turned out to be registered by this."""
        if self.phase is not Phase.LOGGING_IN:
            self._close_unexpected("welcome")
            return None
        device = self._promote(0) if self._trying else None
        self._trying = False
        self.phase, self._due = Phase.ONLINE, None
        self._effects.events.append(Online(backlog))
        return device

    def on_error(self, now: float, code: int, retry: float) -> bool:
        """An error that isn't about one message; whether it was dealt with without closing."""
        entry = errors.REGISTRY.get(code)
        closes = entry is None or entry.closes
        if self.phase is Phase.REQUESTING and (code in FINAL or not closes):
            if code in (errors.PIN_REFUSED, errors.STREAM_REUSED) and self._is_uncertain():
                self._trying = True  # it may be this device that used the PIN, and whose stream is known
                self._log_in(now, self.candidate)
                return True
            if code == errors.PIN_REFUSED:
                self._set_attempted(False)
            self._fail_request(code, retry)
            if not closes:
                self._enter(Phase.READY, now)
                self._proceed(now)
            return not closes
        if self.phase is Phase.LOGGING_IN and self._trying and code == errors.UNAUTHORISED:
            self._set_attempted(False)
            self._fail_request(errors.PIN_REFUSED, 0.0)
            return False
        if code in FINAL:
            self.stop(code)
        return False

    def stop(self, code: int) -> None:
        """The server won't have this device."""
        if self._request is not None and code != errors.UNAUTHORISED:
            self._fail_request(code, 0.0)
        if self.identity is not None:
            self.stopped = code
            self._effects.events.append(Stopped(code))

    # ---- inside --------------------------------------------------------------------------------------

    def _check_request(self, *, anew: bool) -> None:
        if self._request is not None:
            raise RequestPending("a request waits for its answer")
        if self.identity is not None and self.stopped is None and not anew:
            raise AlreadyRegistered(f"this is a device of +{self.identity.user}")

    def _proceed(self, now: float) -> None:
        """From READY to what is wanted."""
        if self.phase is not Phase.READY:
            return
        request, candidate = self._request, self.candidate
        if isinstance(request, _PinRequest):
            self._effects.frames.append((verbs.PIN, request.user))
            self._enter(Phase.REQUESTING, now)
        elif isinstance(request, _Registration):
            assert candidate is not None
            frame = (verbs.REGISTER, candidate.user, request.pin, candidate.public_key, candidate.stream)
            self._effects.frames.append(frame)
            self._enter(Phase.REQUESTING, now)
        elif self.identity is not None and self.stopped is None:
            self._log_in(now, self.identity)
        else:
            self._effects.events.append(Close(""))  # until the person has the PIN

    def _log_in(self, now: float, device: Identity | None) -> None:
        assert device is not None
        signature = device.sign_login(self._nonce, self._certificate)
        self._effects.frames.append((verbs.LOGIN, device.user, signature))
        self._enter(Phase.LOGGING_IN, now)

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase = phase
        self._due = now + self._settings.answer_timeout

    def _promote(self, generation: int) -> Identity:
        assert self.candidate is not None
        device = attrs.evolve(self.candidate, generation=generation, attempted=False)
        self.identity, self.candidate, self._request, self.stopped = device, None, None, None
        self._effects.write(device.write(CURRENT), urgent=True)
        self._effects.write((IDENTITY, (CANDIDATE,), None), urgent=True)
        self._effects.events.append(Registered(device.user))
        return device

    def _set_attempted(self, attempted: bool) -> None:
        if self.candidate is not None and self.candidate.attempted != attempted:
            self.candidate = attrs.evolve(self.candidate, attempted=attempted)
            self._effects.write(self.candidate.write(CANDIDATE), urgent=attempted)

    def _is_uncertain(self) -> bool:
        return isinstance(self._request, _Registration) and self._request.uncertain

    def _fail_request(self, code: int, retry: float) -> None:
        self._request = None
        self._effects.events.append(RequestFailed(code, retry))

    def _close_unexpected(self, verb: str) -> None:
        self._effects.events.append(Close(f"{verb} while {self.phase.value}"))
