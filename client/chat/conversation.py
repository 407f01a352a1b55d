"""What is on show: messages, their check marks, notices. At most so many; the oldest go.

What others wrote is made harmless here: a message must not move the cursor, change colours or hide itself. This module
must never know of terminals or connections.
"""

import enum
import unicodedata
from collections import deque
from collections.abc import Callable, Iterator

import attrs

from client.events import Kind, Receipt
from client.numbers import show_number

ENTRIES_MAX = 2_000
"""Lines kept."""

RECEIPT_LINES_MAX = 100
"""Messages of one receipt that are shown one by one."""

_BIDI = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def harmless(text: str) -> str:
    """The text on one line, without control characters and overrides of the writing direction."""
    return "".join(
        " " if char in "\n\t\r" else "\ufffd" if unicodedata.category(char) == "Cc" or char in _BIDI else char
        for char in text
    )


class Mark(enum.IntEnum):
    """How far a message of ours has come; it never goes back."""

    WAITING = 0
    ACCEPTED = 1
    DELIVERED = 2
    READ = 3
    EXPIRED = 4
    REFUSED = 5

    @property
    def sign(self) -> str:
        """As it is shown."""
        return ("…", "✓", "✓✓", "✓✓ read", "✗ expired", "✗ refused")[self]


@attrs.define(eq=False)
class Entry:
    """One line. peer: 0 for a notice. mark: of our own messages."""

    text: str
    peer: int = 0
    ours: bool = False
    mark: Mark | None = None
    stream: bytes = b""
    number: int = 0

    @property
    def heading(self) -> str:
        """Whom it is from or for."""
        if not self.peer:
            return "*"
        return f"→ {show_number(self.peer)} #{self.number}" if self.ours else show_number(self.peer)


class Conversation:
    """changed: called with each entry that is new or has a new mark, and whether it is new; with None when the
    status is another."""

    def __init__(self, changed: Callable[[Entry | None, bool], None]) -> None:
        self.status = ""
        self.peer: int | None = None
        """Whom a line without a number goes to."""
        self._changed = changed
        self._entries: deque[Entry] = deque()
        self._ours: dict[tuple[int, bytes, int], Entry] = {}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def set_status(self, text: str) -> None:
        """The connection's line."""
        self.status = harmless(text)
        self._changed(None, False)

    def notice(self, text: str) -> None:
        """Something about the program itself."""
        self._add(Entry(harmless(text)))

    def received(self, sender: int, text: str, *, late: bool = False) -> None:
        """A message came."""
        if self.peer is None:
            self.peer = sender
        self._add(Entry(harmless(text) + (" (late)" if late else ""), sender))

    def sent(self, recipient: int, stream: bytes, number: int, text: str) -> Entry:
        """A message of ours is in the outbox."""
        key = (recipient, stream, number)
        if key not in self._ours:
            self._add_ours(recipient, stream, number, text, Mark.WAITING)
        return self._ours[key]

    def raise_mark(self, entry: Entry, mark: Mark) -> None:
        """The message has come further."""
        if entry.mark is not None and mark > entry.mark:
            entry.mark = mark
            self._changed(entry, False)

    def receipt(self, receipt: Receipt) -> None:
        """News of messages of ours; those of an earlier run, or scrolled away, are shown by their number."""
        mark = {
            Kind.DELIVERED: Mark.DELIVERED,
            Kind.READ: Mark.READ,
            Kind.EXPIRED: Mark.EXPIRED,
            Kind.REFUSED: Mark.REFUSED,
        }[receipt.kind]
        for number in receipt.numbers[:RECEIPT_LINES_MAX]:
            entry = self._ours.get((receipt.recipient, receipt.stream, number))
            if entry is not None:
                self.raise_mark(entry, mark)
            else:
                self._add_ours(receipt.recipient, receipt.stream, number, "(from before)", mark)
        if len(receipt.numbers) > RECEIPT_LINES_MAX:
            self.notice(f"{mark.sign} {show_number(receipt.recipient)} up to number {receipt.last}")

    def _add_ours(self, recipient: int, stream: bytes, number: int, text: str, mark: Mark) -> None:
        entry = Entry(harmless(text), recipient, True, mark, stream, number)
        self._ours[recipient, stream, number] = entry
        self._add(entry)

    def _add(self, entry: Entry) -> None:
        self._entries.append(entry)
        if len(self._entries) > ENTRIES_MAX:
            gone = self._entries.popleft()
            self._ours.pop((gone.peer, gone.stream, gone.number), None)
        self._changed(entry, True)
