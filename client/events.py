"""What the core tells its driver, after the writes of the same step are on disk.

Plain values. This module must never know who listens.
"""

import enum

import attrs

from client.records import StoredMessage


class Kind(enum.Enum):
    """What became of a message that was sent."""

    DELIVERED = "delivered"
    READ = "read"
    EXPIRED = "expired"
    REFUSED = "refused"


@attrs.frozen
class Receipt:
    """News of the messages `first..last` of `stream` to `recipient`; `code` and `retry` where they were refused.

    retry: seconds.
    """

    kind: Kind
    recipient: int
    stream: bytes
    first: int
    last: int
    code: int = 0
    retry: float = 0.0

    @property
    def numbers(self) -> range:
        """The numbers as a range."""
        return range(self.first, self.last + 1)


@attrs.frozen
class Accepted:
    """The node took these; `how` is DELIVERED, ONE_COPY or TWO_COPIES of `node.wire.verbs`."""

    recipient: int
    stream: bytes
    first: int
    last: int
    how: int

    @property
    def numbers(self) -> range:
        """The numbers as a range."""
        return range(self.first, self.last + 1)


@attrs.frozen
class Refused:
    """The node won't take this one."""

    recipient: int
    stream: bytes
    number: int
    code: int
    retry: float


@attrs.frozen
class Arrived:
    """A message was stored."""

    message: StoredMessage


@attrs.frozen
class News:
    """Receipts wait for the app."""


@attrs.frozen
class PinSent:
    """The PIN is on its way. Seconds: another may be asked for after `retry`, this one is good for `valid`."""

    retry: float
    valid: float


@attrs.frozen
class Registered:
    """The device is registered; login follows."""

    user: int


@attrs.frozen
class RequestFailed:
    """The PIN request or registration was refused. retry: seconds."""

    code: int
    retry: float


@attrs.frozen
class Online:
    """Logged in; `backlog` messages wait on the node."""

    backlog: int


@attrs.frozen
class Stopped:
    """The server won't have this device; nothing is tried any more until the app does something."""

    code: int


@attrs.frozen
class Close:
    """End the connection, and wait at least `retry` seconds before the next. why: for people; empty if all is well."""

    why: str
    retry: float = 0.0


@attrs.frozen
class Moved:
    """The node that the connection goes to says where this phone's mail is served."""

    host: str
    port: int


Event = (
    Accepted
    | Refused
    | Arrived
    | News
    | PinSent
    | Registered
    | RequestFailed
    | Online
    | Stopped
    | Close
    | Moved
)
