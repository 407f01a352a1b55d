"""Writes, reads and calls for a partition that another node serves: sent there, answered here. Pure: no sockets.

    (ASK, id, p, what, …)          to the node that is believed to be primary
        (ASK, id, p, WRITES, [write, …], settled)    tables by name, values as CBOR
        (ASK, id, p, READ, table, key)
        (ASK, id, p, CALL, name, [argument, …] as CBOR)
    (ANSWER, id, copies, error code, text, value as CBOR)

What was asked of a node that went away is answered with `Unanswered`: it may have happened. Plain writes are
sent again by whoever asked, for doing them twice is as good as once, if he didn't choose otherwise; calls are not.

A newer release may append to each of them, and ask for more: it is told that this one doesn't know what.

A question is waited for the longer the more bytes are under way to that peer, it included: it comes behind them, and
who gave it up early would only add to them by asking again.
"""

from collections.abc import Callable
from typing import Any

from replication.core.errors import ClaimLost, ReplicationError, WritersWait
from replication.errors import NotServed
from store.errors import StoreBusy

ASK = 64
ANSWER = 65
"""Codes of messages, beyond those of `core.messages`."""

WRITES = 0
READ = 1
CALL = 2

ASKED_MAX = 20_000
"""Questions to one peer that are unanswered."""

ASKED_BYTES_MAX = 16 << 20
"""Bytes to one peer that are unanswered, beyond which nothing more is asked; the last question may go beyond it."""
ASKED_BYTES_S = 1 << 20
"""Bytes in a second that a peer takes in, makes durable and settles at least; else it may be given up."""

OK = 0
NOT_HERE = 1
"""It isn't served there: nothing happened."""
BUSY = 2
"""There is no room: nothing happened."""
FAILED = 3
"""It can't be done: nothing happened."""
LOST = 4
"""The claim was lost meanwhile: it may have happened."""
NO_ANSWER = -1

TEXT_MAX = 1_000
"""Characters of what went wrong."""

Answered = Callable[[int, int, str, Any], None]
"""(copies, error code, text, value)"""


class Unanswered(ReplicationError):
    """The node that was asked went away, or took too long. What was asked may have happened, or may happen yet."""

    remedy = "look whether it has, then try again"


class Refused(ReplicationError):
    """The primary could not do it, and says why: nothing was changed."""

    remedy = "mend what it says"


UNDONE = (WritersWait, StoreBusy, NotServed)
"""With these nothing has happened, and nothing is under way."""


class _Asked:
    __slots__ = ("answered", "peer", "size", "until")

    def __init__(self, peer: bytes, answered: Answered, size: int, until: int) -> None:
        self.peer = peer
        self.answered = answered
        self.size = size
        self.until = until


class Forwarding:
    """Questions of one group that are under way. `now` in milliseconds is passed in."""

    __slots__ = ("_asked", "_bytes", "_number", "_of", "unanswered")

    def __init__(self) -> None:
        self._number = 0
        self._asked: dict[int, _Asked] = {}
        self._of: dict[bytes, int] = {}
        self._bytes: dict[bytes, int] = {}
        self.unanswered = 0

    def __len__(self) -> int:
        return len(self._asked)

    def has_room(self, peer: bytes) -> bool:
        """Whether one more may be asked."""
        return self._of.get(peer, 0) < ASKED_MAX and self._bytes.get(peer, 0) < ASKED_BYTES_MAX

    def is_half_full(self) -> bool:
        """Whether more than half of what a peer may be asked is under way to one."""
        return any(count > ASKED_MAX // 2 for count in self._of.values()) or any(
            size > ASKED_BYTES_MAX // 2 for size in self._bytes.values()
        )

    def ask(
        self,
        peer: bytes,
        p: int,
        question: tuple[Any, ...],
        answered: Answered,
        now: int,
        wait_ms: int,
        size: int = 0,
    ) -> tuple[Any, ...]:
        """The message to send. `wait_ms`: for the answer, beside the time that its bytes and those before take."""
        self._number += 1
        under_way = self._bytes.get(peer, 0) + size
        until = now + wait_ms + under_way * 1000 // ASKED_BYTES_S
        self._asked[self._number] = _Asked(peer, answered, size, until)
        self._of[peer] = self._of.get(peer, 0) + 1
        self._bytes[peer] = under_way
        return (ASK, self._number, p, *question)

    def answer(self, peer: bytes, message: Any) -> None:
        """An answer came; late ones and other nodes' are passed over."""
        if len(message) < 6:
            return
        _, number, copies, code, text, value = message[:6]
        asked = self._asked.get(number)
        if asked is not None and asked.peer == peer:
            self._end(number, asked)
            asked.answered(copies, code, text, value)

    def forget(self, number: int) -> None:
        """A question that could not be sent: nobody is told of its end."""
        self._end(number, self._asked[number])

    def gone(self, peer: bytes) -> None:
        """The connection to a peer was lost."""
        self._fail([number for number, asked in self._asked.items() if asked.peer == peer])

    def tick(self, now: int) -> None:
        """Give up what takes too long."""
        self._fail([number for number, asked in self._asked.items() if now >= asked.until])

    def close(self) -> None:
        """Nobody will be heard any more."""
        self._fail(list(self._asked))

    def _fail(self, numbers: list[int]) -> None:
        for number in numbers:
            asked = self._asked[number]
            self._end(number, asked)
            self.unanswered += 1
            asked.answered(0, NO_ANSWER, f"node {asked.peer.hex()} gave no answer", None)

    def _end(self, number: int, asked: _Asked) -> None:
        del self._asked[number]
        self._of[asked.peer] -= 1
        self._bytes[asked.peer] -= asked.size


def told(error: Exception | None) -> tuple[int, str]:
    """What is sent of an error: (code, text)."""
    if error is None:
        return OK, ""
    if isinstance(error, NotServed):
        return NOT_HERE, error.cause
    if isinstance(error, ClaimLost):
        return LOST, error.cause
    if isinstance(error, WritersWait):
        return BUSY, error.cause
    if isinstance(error, StoreBusy):
        return BUSY, "its store has no room"
    return FAILED, f"{type(error).__name__}: {error}"[:TEXT_MAX]


def error_of(code: int, text: str) -> Exception | None:
    """The error that was told of, here."""
    if code == OK:
        return None
    kinds = {NOT_HERE: NotServed, BUSY: WritersWait, LOST: ClaimLost, NO_ANSWER: Unanswered}
    return kinds.get(code, Refused)(text)
