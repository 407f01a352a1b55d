"""Every error that the client raises, defined once, each with its cause and what the caller can do about it.

A refusal by the node carries the wire's error code. No error carries a body, a PIN or a key.
"""

from typing import ClassVar

from node.wire import errors as wire

REGISTERED_ANEW = 65_536
GAVE_UP = 65_537
"""Beside the wire's codes: the device was registered anew while the message was unaccepted, or too long passed."""


class ClientError(Exception):
    """Something the caller has to deal with. `str()` says the cause and the remedy."""

    remedy: ClassVar[str] = ""

    def __str__(self) -> str:
        cause = super().__str__()
        return f"{cause} ({self.remedy})" if self.remedy else cause


# ---- the state file -------------------------------------------------------------------------------


class StateError(ClientError):
    """The state file can't be used. The client stops; nothing that was promised is lost."""

    remedy = "look at the cause, then open the client again"


class StateInUse(StateError):
    """Another client has this state file open."""

    remedy = "close the other client: one state file is one device, used by one process at a time"


class StateForeign(StateError):
    """The file is not a client's state, or is damaged."""

    remedy = "give the path of a client's state; if it was one, register this device again with a new file"


class StateNewer(StateError):
    """The file was written by a newer version of this library."""

    remedy = "update waystation, or use the version that wrote the file"


class StateFull(StateError):
    """The disk, or the account's share of it, is full. What had been confirmed to the caller is safe."""

    remedy = "free some space, then open the client again"


# ---- registering and logging in -------------------------------------------------------------------


class BadServer(ClientError):
    """The server's address isn't host:port."""

    remedy = "write host:port, or [address]:port for IPv6"


class NotRegistered(ClientError):
    """This state holds no registered device yet."""

    remedy = "request_pin(number), then register(pin)"


class AlreadyRegistered(ClientError):
    """This device is registered."""

    remedy = "just use it; request_pin(number, anew=True) ends this registration and makes a new one"


class OtherNumber(ClientError):
    """This state belongs to another phone number."""

    remedy = "keep one state file for each number"


class PinNotRequested(ClientError):
    """`register` was called before `request_pin`."""

    remedy = "request_pin(number) first"


class RequestPending(ClientError):
    """Another request_pin or register is still waiting for its answer."""

    remedy = "await the first one, or cancel it"


class NoConnection(ClientError):
    """The server could not be reached, or didn't answer in time."""

    remedy = "check the address and the network, then try again"


class RequestRefused(ClientError):
    """The server refused a PIN request or a registration.

    Attributes:
        code: the wire's error code.
        retry: seconds to wait before trying again; 0 where waiting changes nothing.
    """

    def __init__(self, code: int, retry: float = 0.0) -> None:
        super().__init__(code, retry)
        self.code = code
        self.retry = retry

    def __str__(self) -> str:
        return _registry_text(self.code, self.retry)


class PinRefused(RequestRefused):
    """The PIN is wrong, used or expired; the server doesn't tell which."""


class PinLimit(RequestRefused):
    """Too many PIN requests or attempts; `.retry` seconds from now it may go on."""


class BadNumber(RequestRefused):
    """Not a phone number that can be registered."""


class RegistrationClosed(RequestRefused):
    """This server registers nobody now."""


class LoginRefused(ClientError):
    """The server doesn't let this device in; the client has stopped trying.

    Attributes:
        code: the wire's error code.
    """

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    def __str__(self) -> str:
        return _registry_text(self.code, 0.0)


class SignedOut(LoginRefused):
    """The device's key is no longer the registered one: another device registered, or the account ended."""


class Superseded(LoginRefused):
    """A newer login of this number took over. `reconnect()` tries again."""


class Blocked(LoginRefused):
    """The operator has blocked this number or address."""


class ClientTooOld(LoginRefused):
    """The server and this library share no protocol version."""


class StateWentBack(LoginRefused):
    """The server knows later numbers than this state: the state was restored from an older copy, or another
    device's state was put in its place. Register anew: request_pin(number, anew=True)."""


class ServerNotTrusted(ClientError):
    """The server's certificate isn't the one, or isn't of the authority, that was asked for."""

    remedy = (
        "if the server's certificate was changed on purpose, give the new fingerprint; otherwise somebody is "
        "in the middle: don't connect"
    )


# ---- mail -----------------------------------------------------------------------------------------


class OutboxFull(ClientError):
    """As many messages as are allowed wait to be accepted (or refusals wait to be seen)."""

    remedy = "await accepted() of earlier messages and take receipts(), then send again"


class TooManyRecipients(ClientError):
    """The state keeps a counter for every recipient, and there are as many as are allowed."""

    remedy = "raise Settings.recipients_max"


class BodyTooLarge(ClientError):
    """The body is longer than a frame can carry."""

    remedy = "send at most BODY_MAX bytes (61,440)"


class BadRecipient(ClientError):
    """Not a phone number in international form."""

    remedy = "write it as '+15551230001': a plus sign and at most 15 digits"


class MessageRefused(ClientError):
    """The node did not take the message, and it won't be sent again.

    Attributes:
        recipient, number: which message.
        code: the wire's error code.
        retry: seconds after which sending it again, as a new message, may succeed; 0 where it won't.
    """

    def __init__(self, recipient: int, number: int, code: int, retry: float = 0.0) -> None:
        super().__init__(recipient, number, code, retry)
        self.recipient = recipient
        self.number = number
        self.code = code
        self.retry = retry

    def __str__(self) -> str:
        return f"message {self.number} to +{self.recipient}: {_registry_text(self.code, self.retry)}"


class StreamEnded(MessageRefused):
    """The device was registered anew while the message was unaccepted: nobody knows whether the node had taken
    it. Send it again if a repeat does less harm than a loss."""

    def __str__(self) -> str:
        return (
            f"message {self.number} to +{self.recipient} was unaccepted when the device was registered anew "
            "(send it again if a repeat does less harm than a loss)"
        )


class GaveUp(MessageRefused):
    """The message was unaccepted for `Settings.retry_max`: nobody knows whether the node had taken it. Send it
    again if a repeat does less harm than a loss."""

    def __str__(self) -> str:
        return (
            f"message {self.number} to +{self.recipient} was unaccepted for too long "
            "(send it again if a repeat does less harm than a loss)"
        )


class AlreadyIterating(ClientError):
    """Two loops over messages(), or two over receipts(), at the same time."""

    remedy = "use one loop, and hand out from there"


class ClientClosed(ClientError):
    """The client was used after its `async with` block ended, or after it failed."""

    remedy = "open it again"


def _registry_text(code: int, retry: float) -> str:
    entry = wire.REGISTRY.get(code)
    if entry is None:
        return f"refused with the unknown code {code} (update waystation)"
    wait = f"; retry in {retry:.0f} s" if retry else ""
    return f"{entry.name}: {entry.text} ({entry.remedy}{wait})"


def request_refused(code: int, retry: float) -> RequestRefused:
    """The named error of a refused PIN request or registration."""
    kind: type[RequestRefused] = {
        wire.PIN_REFUSED: PinRefused,
        wire.PIN_LIMIT: PinLimit,
        wire.BAD_NUMBER: BadNumber,
        wire.REGISTRATION_CLOSED: RegistrationClosed,
    }.get(code, RequestRefused)
    return kind(code, retry)


def login_refused(code: int) -> LoginRefused:
    """The named error of a login that the server won't have."""
    kind: type[LoginRefused] = {
        wire.UNAUTHORISED: SignedOut,
        wire.SUPERSEDED: Superseded,
        wire.BLOCKED: Blocked,
        wire.UNSUPPORTED_VERSION: ClientTooOld,
        wire.STREAM_WRONG: StateWentBack,
        wire.STREAM_REUSED: StateWentBack,
    }.get(code, LoginRefused)
    return kind(code)


def message_refused(recipient: int, number: int, code: int, retry: float) -> MessageRefused:
    """The named error of one message that the node didn't take."""
    kind = {REGISTERED_ANEW: StreamEnded, GAVE_UP: GaveUp}.get(code, MessageRefused)
    return kind(recipient, number, code, retry)
