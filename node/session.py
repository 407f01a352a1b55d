"""What is held for one connection besides the hub's part of it. State only."""

from typing import Any

from node.hub.connection import Connection
from node.wire import errors
from node.wire.codec import encode
from node.wire.errors import REGISTRY
from node.wire.limits import TEXT_MAX
from node.wire.verbs import ERROR

NEW = 0
"""Nothing was said yet."""
GREETED = 1
"""Versions are agreed; a PIN, a registration or a login may be asked for."""
ASKING = 2
"""One of them was asked for, and the answer is not there yet."""
TALKING = 3
"""Logged in."""


class Session(Connection):
    """A connection of a phone. Slotted, without anything that an idle one doesn't need."""

    __slots__ = ("certificate", "nonce", "phase", "pinged", "refilled", "stream", "tokens", "user")

    def __init__(self, fd: int, address: str, certificate: bytes) -> None:
        super().__init__(fd, address)
        self.certificate = certificate  # SHA-256 of the listener's; b"" on plain TCP; shared
        self.phase = NEW
        self.user = 0
        self.stream = b""
        self.nonce = b""
        self.pinged = False
        self.tokens = 0.0  # messages it may send before `refilled` is looked at again
        self.refilled = 0

    def refuse(
        self, code: int, text: str = "", *, retry_ms: int = 0, about: tuple[Any, ...] | None = None
    ) -> None:
        """Say what is wrong; close the connection if that is what the registry says."""
        entry = REGISTRY[code]
        self.write(encode((ERROR, code, (text or entry.text)[:TEXT_MAX], retry_ms, about)))
        if entry.closes:
            self.close(entry.name)

    def unexpected(self, verb: int) -> None:
        """A frame that may not come now."""
        if self.phase == TALKING:
            self.refuse(errors.UNEXPECTED, f"verb {verb} is not allowed after login")
        elif self.phase == ASKING:
            self.refuse(errors.UNEXPECTED, f"verb {verb} came before the last request was answered")
        else:
            self.refuse(errors.LOGIN_FIRST if self.phase == GREETED else errors.UNEXPECTED)
