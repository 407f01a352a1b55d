"""The rows that outlive a crash, as plain tuples: what the core writes and the state stores.

A write is (table, key, row), with None for a row that goes. Sets of numbers are text ("1-5,7"), so that the file
can be read by people. This module must never know how rows are stored.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

IDENTITY: Final = "identity"
OUTGOING: Final = "outgoing"
OUTBOX: Final = "outbox"
REFUSAL: Final = "refusal"
INCOMING: Final = "incoming"
INBOX: Final = "inbox"
TRUST: Final = "trust"

Write = tuple[str, tuple[Any, ...], tuple[Any, ...] | None]
Row = tuple[tuple[Any, ...], tuple[Any, ...]]

Frame = tuple[Any, ...]
"""(verb, …) as the wire's schema says."""

CURRENT: Final = "current"
CANDIDATE: Final = "candidate"

COLUMNS: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = MappingProxyType(
    {
        # (role) → the device: its registered self, and the one that is about to be registered
        IDENTITY: (("role",), ("user", "seed", "stream", "generation", "attempted")),
        # one per (recipient, own stream) → the next number, and what is known of those before it; news_* and
        # read_told: what the app hasn't been told
        OUTGOING: (
            ("recipient", "stream"),
            ("next", "delivered", "expired", "read", "news_delivered", "news_expired", "read_told"),
        ),
        # an unaccepted message of the current stream, and its Unix time; a body of NULL is a number to be skipped
        OUTBOX: (("recipient", "number"), ("body", "written")),
        # a message that the node refused and the app hasn't seen refused
        REFUSAL: (("recipient", "stream", "number"), ("code", "retry")),
        # one per (sender, its stream) → received numbers, acks that the node hasn't confirmed, read marks, age rank
        INCOMING: (("sender", "stream"), ("received", "unconfirmed", "read", "read_confirmed", "heard")),
        # a message that the app hasn't acked, in the order of arrival
        INBOX: (("id",), ("sender", "stream", "number", "late", "arrived", "body")),
        # server name → SHA-256 of the certificate seen first
        TRUST: (("server",), ("fingerprint",)),
    }
)
"""Table → (key columns, other columns)."""


@attrs.frozen
class StoredMessage:
    """One message in the inbox. `id` orders them; (sender, stream, number) is its name for ever.

    arrived: Unix time in ms when the node took it. late: a later one of this conversation came before it.
    """

    id: int
    sender: int
    stream: bytes
    number: int
    late: bool
    arrived: int
    body: bytes = attrs.field(repr=False)

    @property
    def write(self) -> Write:
        """Its row."""
        row = (self.sender, self.stream, self.number, int(self.late), self.arrived, self.body)
        return INBOX, (self.id,), row


@attrs.frozen
class Snapshot:
    """What a state holds when it is opened; of the inbox only how many and the highest id.

    The rows of the outbox come in the order of their keys.
    """

    identity: tuple[Row, ...] = ()
    outgoing: tuple[Row, ...] = ()
    outbox: tuple[Row, ...] = attrs.field(default=(), repr=False)
    refusal: tuple[Row, ...] = ()
    incoming: tuple[Row, ...] = ()
    inbox_count: int = 0
    inbox_last: int = 0
