"""What whoever uses links implements: the other end of `links.Links`."""

from __future__ import annotations

from typing import Any, Protocol


class Receiver(Protocol):
    """Called on the loop's thread, synchronously. What one of these raises is our own defect and ends `Links.run`.

    `peer` is the id of a node, proved by its key. `group` is the name of a group; None is the control link.
    All of them may call anything of `Links`.
    """

    def received(self, peer: bytes, group: str | None, message: list[Any]) -> None:
        """A message, in the order in which the peer sent it on this link; called for each of a batch, in a row.

        It begins with an int and holds ints, byte strings, strings, bools, floats, None and lists of these; whether it
        makes sense is for this side to find out (`Links.reset` if not).
        """
        ...

    def passed(self) -> None:
        """What one wake-up brought has been handed over. What is sent until the end of this goes out together."""
        ...

    def connected(self, peer: bytes, group: str | None) -> None:
        """From now on `send` reaches the peer on this link: it has answered."""
        ...

    def disconnected(self, peer: bytes, group: str | None) -> None:
        """No longer. What was sent last on this link may be lost."""
        ...
