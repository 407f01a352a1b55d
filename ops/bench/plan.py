"""What a generator process is told to do, and what it reports: values, sent as lines of JSON.

Users are indexes 0, 1, 2, …; the dialects turn them into phone numbers or XMPP addresses. This module must
never know how a message looks on the wire.
"""

from typing import Literal

from attrs import field, frozen

Dialect = Literal["waystation", "xmpp", "xmpp-managed"]


@frozen
class Shape:
    """Who writes to whom.

    Attributes:
        senders: users 0 … senders - 1 send.
        recipients: 0: the senders write to one another. Otherwise users senders … senders + recipients - 1
            receive and the senders write to them.
        partners: to how many others each sender writes, in turn.
    """

    senders: int
    recipients: int
    partners: int

    def __attrs_post_init__(self) -> None:
        assert self.senders >= 1
        assert self.partners >= 1
        if self.recipients:
            assert self.partners <= self.recipients
        else:
            assert self.senders % (self.partners + 1) == 0, "senders form groups of partners + 1"

    @property
    def users(self) -> int:
        """How many users there are in all."""
        return self.senders + self.recipients

    @property
    def pairs(self) -> int:
        """How many (recipient, sender) pairs there are."""
        return self.senders * self.partners

    def partners_of(self, index: int) -> list[int]:
        """To whom this user writes; nobody if it is not a sender."""
        if index >= self.senders:
            return []
        if not self.recipients:
            size = self.partners + 1
            first = index // size * size
            return [other for other in range(first, first + size) if other != index]
        start = index * self.recipients // self.senders
        return [self.senders + (start + step) % self.recipients for step in range(self.partners)]


@frozen
class Plan:
    """All that a generator process knows.

    Attributes:
        window: messages that each user keeps in flight in all (0: only the rate decides).
        rate: messages a second that this process starts, whatever comes back (0: only the window decides).
        body_bytes: length of a message's body; at least 24, for the time is in it.
        flight: a message leaves the window when it is receipted, or already when it is accepted (for
            recipients who aren't there). XMPP tells nothing on acceptance: there, a request to the server
            follows each burst, and its answer says that what went before is stored.
        logins_parallel: logins of this process under way at once.
        ports: of several nodes, which users connect to in turn; empty: all to `port`.
    """

    dialect: Dialect
    host: str
    port: int
    tls: bool
    shape: Shape
    window: int
    rate: float
    body_bytes: int
    flight: Literal["receipted", "accepted"]
    logins_parallel: int
    ports: tuple[int, ...] = ()


@frozen
class Order:
    """One line from the coordinator.

    Attributes:
        do: connect users first … last - 1 · begin sending, at most `messages` (0: no limit) · end sending ·
            count: report the counts · mark: report counts and latencies and forget the latencies · quit.
    """

    do: Literal["connect", "begin", "end", "count", "mark", "quit"]
    first: int = 0
    last: int = 0
    messages: int = 0


@frozen
class Counts:
    """Since the process began.

    Attributes:
        repeated: messages that were delivered more than once.
        disordered: messages that came before an earlier one of the same pair.
        resent: sends made again because the server said gap or busy.
        login_retries: logins that the server put off.
    """

    sent: int = 0
    delivered: int = 0
    accepted: int = 0
    receipted: int = 0
    repeated: int = 0
    disordered: int = 0
    resent: int = 0
    login_retries: int = 0
    connected: int = 0


Histogram = list[tuple[int, int]]


@frozen
class Report:
    """One line to the coordinator: an answer to each order but `quit`; or the reason why the process gives up.

    Attributes:
        at_us: when, by the clock that all processes share.
        cpu_seconds: of this process, so far.
        overdue_us_max: how late the process itself was, at worst, in starting a message (open loop).
        reason: empty, or what went wrong.
    """

    counts: Counts = field(factory=Counts)
    at_us: int = 0
    cpu_seconds: float = 0.0
    overdue_us_max: int = 0
    to_deliver: Histogram = field(factory=list)
    to_accepted: Histogram = field(factory=list)
    to_receipted: Histogram = field(factory=list)
    reason: str = ""
