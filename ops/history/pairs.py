"""What the checker knows of one (recipient, sender, stream): which numbers were sent, accepted, handed over…

State only; the rules are in `checker`. Memory goes by interval, plus 8 bytes a message for its body's hash.
"""

from __future__ import annotations

from array import array
from typing import Final

from ops.history.intervals import IntervalSet

_PAGE_BITS: Final = 10
_PAGE: Final = 1 << _PAGE_BITS
_BLANK: Final = bytes(8 * _PAGE)


class Hashes:
    """number → 64-bit hash, in pages of 8 KiB, so that a run of numbers costs 8 bytes each."""

    __slots__ = ("_pages",)

    def __init__(self) -> None:
        self._pages: dict[int, array[int]] = {}

    def get(self, n: int) -> int:
        """The hash, or 0 when none is known."""
        page = self._pages.get(n >> _PAGE_BITS)
        return page[n & (_PAGE - 1)] if page is not None else 0

    def put(self, n: int, value: int) -> None:
        page = self._pages.get(n >> _PAGE_BITS)
        if page is None:
            page = self._pages[n >> _PAGE_BITS] = array("Q", _BLANK)
        page[n & (_PAGE - 1)] = value


class Pair:
    """One direction between two devices. Each set holds message numbers.

    `handed_now` and `last_now` are of the recipient's present process: they begin anew when it starts again.
    """

    __slots__ = (
        "accepted", "acked", "expired", "handed", "handed_now", "hashes", "incarnation", "last_now", "read",
        "received", "sent", "skipped", "sunk", "told",
    )  # fmt: skip

    def __init__(self) -> None:
        self.hashes = Hashes()
        self.sent = IntervalSet()
        self.accepted = IntervalSet()
        self.expired = IntervalSet()  # and the sender was told
        self.told = IntervalSet()  # to the sender, as delivered
        self.received = IntervalSet()  # by the recipient's library, off the wire
        self.handed = IntervalSet()  # to the recipient's app
        self.acked = IntervalSet()  # by the recipient's app: it has it for good
        # Refused, and given up by the sender: no messages, though the node accepts them.
        self.skipped = IntervalSet()
        self.sunk = IntervalSet()  # received by a device that was lost with it
        self.read = 0  # the highest number that the recipient's app marked as read
        self.incarnation = 0
        self.handed_now = IntervalSet()
        self.last_now = 0

    def begin_incarnation(self, incarnation: int) -> None:
        """The recipient's process is a new one: what it is handed is counted anew."""
        self.incarnation = incarnation
        self.handed_now.clear()
        self.last_now = 0
