"""What is held for one connection besides the hub's part of it. State only."""

from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from node.hub.connection import Connection
from node.routing.logins import packed, unpacked
from node.wire import errors
from node.wire.codec import encode
from node.wire.errors import REGISTRY
from node.wire.limits import STREAM_SIZE, TEXT_MAX
from node.wire.verbs import ACK, CONFIRM, ERROR, READ, SEND, SKIP

NEW = 0
"""Nothing was said yet."""
GREETED = 1
"""Versions are agreed; a PIN, a registration or a login may be asked for."""
ASKING = 2
"""One of them was asked for, and the answer is not there yet."""
TALKING = 3
"""Logged in."""

_PACKED: Final = Struct(f"<Q{STREAM_SIZE}s")
"""Ticket and stream, before the bytes of a login."""
_MAIL = frozenset((SEND, SKIP, ACK, READ, CONFIRM))


class Session(Connection):
    """A connection of a phone. Slotted, without anything that an idle one doesn't need."""

    __slots__ = (
        "_login", "certificate", "nonce", "paid_until", "phase", "pinged", "round", "stream", "ticket", "user",
    )  # fmt: skip

    def __init__(self, fd: int, address: str, certificate: bytes) -> None:
        super().__init__(fd, address)
        self.certificate = certificate  # SHA-256 of the listener's; b"" on plain TCP; shared
        self.phase = NEW
        self.user = 0
        self.stream = b""
        self.nonce = b""
        self.pinged = False
        self.paid_until: float = 0  # the time by which all that it sent would be within the rate (see talk)
        # In a cluster, see `node.routing.surroundings.Phone`.
        self._login = 0
        self.ticket = 0
        self.round = 0

    @property
    def login(self) -> tuple[int, int]:
        """(epoch, counter)"""
        return unpacked(self._login)

    @login.setter
    def login(self, login: tuple[int, int]) -> None:
        self._login = packed(login)

    def pack(self) -> None:
        """In a cluster: it says nothing for now. Nothing happens to one without a ticket, or that is seen (`seen`)."""
        if self.ticket and type(self) is Session:
            login = self._login
            number = login.to_bytes((login.bit_length() + 7) // 8, "little")
            self._login = _PACKED.pack(self.ticket, self.stream) + number  # type: ignore[assignment]
            del self.ticket, self.stream
            self.__class__ = PackedSession

    def unpack(self) -> None:
        """It is of another class from now on."""

    def refuse(
        self, code: int, text: str = "", *, retry_ms: int = 0, about: tuple[Any, ...] | None = None
    ) -> None:
        """Say what is wrong; close the connection if that is what the registry says."""
        entry = REGISTRY[code]
        self.write(encode((ERROR, code, _shortened(text or entry.text), retry_ms, about)))
        if entry.closes:
            self.close(entry.name)

    def unexpected(self, verb: int) -> None:
        """A frame that may not come now."""
        if self.phase == TALKING:
            self.refuse(errors.UNEXPECTED, f"verb {verb} is not allowed after login")
        elif verb in _MAIL:
            self.refuse(errors.LOGIN_FIRST)
        elif self.phase == ASKING:
            self.refuse(errors.UNEXPECTED, f"verb {verb} came before the last request was answered")
        elif self.phase == GREETED:
            self.refuse(errors.UNEXPECTED, f"verb {verb} is not allowed after hello")
        else:
            self.refuse(errors.UNEXPECTED, f"verb {verb} came before hello")


class PackedSession(Session):
    """One that says nothing: ticket, stream and login are one object of 64 bytes, not three of 112. Whoever asks for
    one of them has all three apart, and a `Session`, again: so those who talk pay for it once, and nothing for each
    look at an attribute, as they would if their own class had a `__getattr__`."""

    __slots__ = ()

    @property
    def login(self) -> tuple[int, int]:
        """(epoch, counter)"""
        self.unpack()
        return self.login

    @login.setter
    def login(self, login: tuple[int, int]) -> None:
        self.unpack()
        self.login = login

    def pack(self) -> None:
        """It is packed."""

    def unpack(self) -> None:
        """It is a `Session` again."""
        kept: bytes = self._login  # type: ignore[assignment]
        self.__class__ = Session  # type: ignore[assignment]
        self.ticket, self.stream = _PACKED.unpack_from(kept)
        self._login = int.from_bytes(kept[_PACKED.size :], "little")

    if not TYPE_CHECKING:  # or every attribute would be one

        def __getattr__(self, name: str) -> Any:
            """Of what isn't there: it is packed."""
            if name in ("ticket", "stream"):
                self.unpack()
                return getattr(self, name)
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _shortened(text: str) -> str:
    """What fits in an error frame, where text is counted in bytes."""
    if len(text) * 4 <= TEXT_MAX:
        return text
    return text.encode()[:TEXT_MAX].decode(errors="ignore")
