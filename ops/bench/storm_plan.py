"""What a process of phones is told, and what it reports of a storm: values, sent as lines of JSON.

Phones are numbers of `identities`; nodes are ports. Times are microseconds of the clock that all processes of this
machine share. This module must never know how a phone speaks.
"""

from typing import Literal

from attrs import field, frozen

from ops.bench.plan import Dialect


@frozen
class Phone:
    """One user's. port: of the node that it is connected to at first. to: whom it writes to; -1: nobody."""

    user: int
    port: int
    to: int = -1


@frozen
class Crowd:
    """All that a process knows.

    Attributes:
        ports: of all nodes, as a name that leads to all of them: a connection goes to any that takes it.
        rate: messages a second that each phone sends that writes to somebody.
        logins_parallel: at the beginning; in the storm each phone goes its own way.
        nice: phones have processors of their own; here they take what nodes leave.
        cut_spread: of the client library's settings.
        dialect: what phones speak.
    """

    phones: tuple[Phone, ...]
    ports: tuple[int, ...]
    rate: float
    body_bytes: int
    logins_parallel: int
    seed: int
    nice: int
    cut_spread: float
    dialect: Dialect = "waystation"


@frozen
class Order:
    """count: report numbers · begin: send · end: send no more · tell: report everything · leave: who is connected
    to one of these ports takes the connection for cut off · silence: connections to them are answered by nobody."""

    do: Literal["count", "begin", "end", "tell", "leave", "silence"]
    ports: tuple[int, ...] = ()


@frozen
class Refusal:
    """A phone was told to come back later. at: when; retry_ms: what it was told, 0 for no time."""

    at: int
    retry_ms: int
    code: int


@frozen
class Return:
    """What one phone went through. lost: its connection ended; back: logged in again, 0: not yet.

    tries: connections begun since; unanswered: those that were given up without a word.
    """

    user: int
    lost: int
    back: int
    port: int
    tries: int
    first_try: int
    unanswered: int
    refusals: tuple[Refusal, ...] = ()


@frozen
class Told:
    """A message. at: sent; accepted, delivered: when its sender and its recipient heard, 0: never. returned: when it
    came back to its sender as an error."""

    sender: int
    at: int
    accepted: int
    delivered: int
    returned: int = 0


@frozen
class Report:
    """Answer to an order. online: phones; lost: those whose connection has ended at some time.

    open: messages that are unaccepted or not delivered; repeated, disordered: those that the app got twice, or before
    an earlier one. reason: why the process gives up.
    """

    online: int = 0
    sent: int = 0
    open: int = 0
    repeated: int = 0
    disordered: int = 0
    lost: int = 0
    returns: tuple[Return, ...] = field(factory=tuple)
    messages: tuple[Told, ...] = field(factory=tuple)
    reason: str = ""
