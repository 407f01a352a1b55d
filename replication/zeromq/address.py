"""Where a node is reached: host:port, [IPv6]:port or ipc:///path. Knows nothing of who is there.

Names are resolved here and not by ZeroMQ, whose one I/O thread would stand still meanwhile, and all links with it.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final, Self

import attrs
import trio

from replication.zeromq.errors import AddressUnusable

IPC: Final = "ipc://"
SUFFIX_CHARACTERS: Final = 8
"""What tells the paths of a node's groups apart, where links go over sockets in the file system."""

PATH_BYTES_MAX: Final = 107 - SUFFIX_CHARACTERS - 1
"""sun_path of unix(7), less its end and what a group's path adds."""

HOST_BYTES_MAX: Final = 253


@attrs.frozen
class Address:
    """Either host and port, or the path of a socket in the file system. Port 0, where a node listens: any."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises AddressUnusable."""
        if text.startswith(IPC):
            path = text.removeprefix(IPC)
            if not path or "\0" in path or len(path.encode("utf-8", "replace")) > PATH_BYTES_MAX:
                raise AddressUnusable(f"{text!r} isn't the path of a socket of 1 to {PATH_BYTES_MAX} bytes")
            return cls(path=path)
        host, colon, port = text.rpartition(":")
        bracketed = host.startswith("[") and host.endswith("]")
        if bracketed:
            host = host[1:-1]
        if not (colon and port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65_535):
            raise AddressUnusable(f"{text!r} has no port")
        if bracketed != (":" in host) or not _is_host(host):
            raise AddressUnusable(f"{text!r} has no host")
        return cls(host=host, port=int(port))

    def __str__(self) -> str:
        if self.path:
            return IPC + self.path
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def endpoint(self) -> str:
        """For ZeroMQ."""
        if self.path:
            return IPC + self.path
        port = str(self.port) if self.port else "*"
        return f"tcp://[{self.host}]:{port}" if ":" in self.host else f"tcp://{self.host}:{port}"

    def beside(self, place: int | str) -> Address | None:
        """Where a group of the same node is: on another port, or at a path with a suffix; None if that can't be."""
        if isinstance(place, int):
            return Address(host=self.host, port=place) if self.host and 0 < place <= 65_535 else None
        if not (self.path and len(place) == SUFFIX_CHARACTERS and place.isascii() and place.isalnum()):
            return None
        return Address(path=f"{self.path}.{place}")

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host


def _is_host(text: str) -> bool:
    """Whether it can be an address or a name (RFC 1123). Nothing else may get into an endpoint of ZeroMQ."""
    if ":" in text:
        try:
            ipaddress.IPv6Address(text)
        except ValueError:
            return False
        return True
    labels = text.removesuffix(".").split(".")
    return len(text) <= HOST_BYTES_MAX and all(
        label and len(label) <= 63 and label.isascii() and label.replace("-", "a").replace("_", "a").isalnum()
        for label in labels
    )


async def resolve(address: Address, turn: int = 0) -> Address:
    """The same with a numeric host; found in a thread if it is a name, which may have several: each has its turn.

    Raises:
        AddressUnusable: the name isn't known (now).
    """
    if address.path:
        return address
    try:
        found = await trio.socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AddressUnusable(f"{address.host!r} isn't known: {error.strerror or error}") from None
    hosts = tuple(dict.fromkeys(str(one[4][0]) for one in found))
    return Address(host=hosts[turn % len(hosts)], port=address.port)
