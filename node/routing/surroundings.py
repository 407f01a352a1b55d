"""What the router asks of the node that it is in. The composition implements these; tests bring worlds of their
own."""

from collections.abc import Callable, Mapping
from typing import Protocol

from node.accounts.outcomes import Outcome
from node.mail.state import Effect

Done = Callable[[Outcome], None]


class Phone(Protocol):
    """A session whose socket is here. The router sets `user`, `stream`, and all that follows."""

    user: int
    stream: bytes
    login: tuple[int, int]
    """(epoch, counter), as the user's primary gave it: of two sessions of one user the lower one ends."""
    ticket: int
    """This node's number of the session; 0: it isn't logged in."""
    round: int
    """Which announcement of it."""


class Ways(Protocol):
    """Where things are. All calls are cheap and synchronous."""

    me: bytes
    partitions: int

    def partition_of(self, user: int) -> int: ...
    def primary_of(self, p: int) -> bytes | None:
        """By the claim that this node knows; None: nobody known. It may be this node although it doesn't serve."""
        ...

    def epoch_of(self, p: int) -> int:
        """Of that claim."""
        ...

    def send(self, peer: bytes, channel: str, message: tuple[object, ...]) -> bool:
        """As `Links.send`: False if it isn't connected or its queue is full."""
        ...

    def reset(self, peer: bytes, channel: str) -> None:
        """As `Links.reset`: what it says makes no sense."""
        ...

    def is_cut_off(self, peer: bytes) -> bool:
        """Whether another member is thought to be dead or out of reach. Links to it may stand for a while still."""
        ...

    def public_of(self, peer: bytes) -> tuple[str, int] | None:
        """Host and port for phones, where the configuration lets them go there."""
        ...

    def may_register(self, p: int) -> bool:
        """Whether numbers of a partition that is served here may be given out: no other node gives them out now, and
        what others gave out is known here."""
        ...

    def may_be_pledged(self, p: int) -> bool:
        """Whether they may be, but for members who don't know yet that this node is to give them out. They are asked
        for that, and `Router.claimed` tells when one has answered."""
        ...


class Accounts(Protocol):
    """As `node.accounts.service.Accounts`, of which only users are asked whose partition is served here."""

    def request_pin(self, user: int, address: str, done: Done) -> None: ...
    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None: ...
    def login(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None: ...
    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        """Whether a session of the device with this stream may go on. `done` is called at once or later, with 0 or a
        code of `node.wire.errors`: SUPERSEDED (another device took over), BLOCKED, OVERLOADED (not to be found out
        now, or mail of a former device is still being expired)."""
        ...


class Phones(Protocol):
    """What is said to sessions whose socket is here."""

    outlets: Mapping[int, Callable[[Effect], None]]
    """By code of `node.mail.effects`, for ACCEPTED, GAP, BUSY, REFUSED, RECEIPT, DELIVER and CONFIRM: as those that
    `MailDriver` takes. The effect's user has a session in `RoutingState.sessions`."""

    def welcome(self, session: Phone, waiting: int) -> bool:
        """Mail has looked at what waits for it; -1: it can't be let in. Called again when its user's partition has
        another primary, and of no meaning then unless it is -1. Gives whether it was let in by this call."""
        ...

    def end(self, session: Phone, code: int) -> None:
        """Close it, saying why. `Router.left` may be called by this, or later."""
        ...

    def move(self, session: Phone, host: str, port: int) -> None:
        """Its user's primary can be reached there."""
        ...
