"""Where the channel's socket is: in the data directory, at another path, or on a TCP port.

The path of a Unix socket has at most 107 bytes (unix(7)), and a data directory may lie deeper. Then the socket is named
through a descriptor of its directory, which is the same file by a short name.
"""

import os
from pathlib import Path
from typing import Final, Self

import attrs

from admin.channel.errors import PlaceUnusable
from admin.descriptor import Descriptor
from replication.zeromq.address import IPC, Address
from replication.zeromq.errors import AddressUnusable

PATH_BYTES_MAX: Final = 107
ANYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound here


@attrs.frozen
class Place:
    """A path, or a TCP address (host, and a port that may be 0 where a node listens)."""

    path: Path | None = None
    address: Address | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """host:port, [IPv6]:port or ipc:///path. Raises PlaceUnusable."""
        if text.startswith(IPC):
            path = Path(text.removeprefix(IPC))
            if not path.is_absolute() or "\0" in text:
                raise PlaceUnusable(f"{text!r} isn't the absolute path of a socket")
            return cls(path=path)
        try:
            return cls(address=Address.parse(text))
        except AddressUnusable as error:
            raise PlaceUnusable(error.cause) from None

    def __str__(self) -> str:
        return f"{IPC}{self.path}" if self.path is not None else str(self.address)

    def reached(self, host: str) -> str:
        """As others reach it. host: of this machine, for a place that is every address of it."""
        if self.address is not None and self.address.host in ANYWHERE:
            return str(Address(host=host, port=self.address.port))
        return str(self)


def is_address(text: str) -> bool:
    """Whether it names a place, and no file."""
    try:
        Place.parse(text)
    except PlaceUnusable:
        return False
    return True


class Endpoint(Descriptor):
    """A place as ZeroMQ wants it. Keep it open as long as the socket: its name may hang on a descriptor."""

    def __init__(self, place: Place) -> None:
        """Raises PlaceUnusable: its directory isn't there."""
        self._fd = -1
        if place.address is not None:
            self.address = place.address
            return
        assert place.path is not None
        path = place.path
        if len(os.fsencode(path)) > PATH_BYTES_MAX:
            try:
                self._fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError as error:
                raise PlaceUnusable(f"{path.parent}: {error.strerror}") from None
            path = Path(f"/proc/self/fd/{self._fd}") / path.name
        self.address = Address(path=str(path))
