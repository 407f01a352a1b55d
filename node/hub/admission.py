"""Who may connect: limits in all, per address, and on how often one address comes.

Knows no sockets: it is asked, and told of every connection that is taken and gone.
"""

from __future__ import annotations

import ipaddress
import socket
import sys

from node.hub.settings import HubSettings

TOO_MANY = "too_many"  # connections in all
ADDRESS_FULL = "address_full"  # connections from this address
TOO_OFTEN = "too_often"  # accepts from this address within the window
NO_DESCRIPTOR = "no_descriptor"  # the process or the system is out of descriptors
STOPPING = "stopping"
DRAINING = "draining"  # it serves on, and takes nobody more
REFUSALS = (TOO_MANY, ADDRESS_FULL, TOO_OFTEN, NO_DESCRIPTOR, STOPPING, DRAINING)

ADDRESSES_MAX = 100_000  # that the window of accepts remembers; when full, it starts anew


def network_of(host: str) -> str:
    """What limits count by: an IPv4 address as it is, of an IPv6 address its /64 (RFC 6177: the least a
    subscriber gets)."""
    if ":" not in host:
        return host
    packed = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
    if packed[:12] == b"\0\0\0\0\0\0\0\0\0\0\xff\xff":
        return socket.inet_ntop(socket.AF_INET, packed[12:])
    return f"{ipaddress.IPv6Address(packed[:8] + bytes(8))}/64"


class Admission:
    """Counts connections per address and in all."""

    __slots__ = (
        "_counts",
        "_recent",
        "_settings",
        "_window_end",
        "connections",
        "connections_max",
        "draining",
    )

    def __init__(self, settings: HubSettings, connections_max: int) -> None:
        self._settings = settings
        self._counts: dict[str, int] = {}  # connections per address
        self._recent: dict[str, int] = {}  # accepts per address within the window
        self._window_end = 0
        self.connections = 0
        self.connections_max = connections_max
        self.draining = False  # whether nobody more is taken

    def adjust(self, settings: HubSettings, connections_max: int) -> None:
        """Other limits hold from now on; who is in stays."""
        self._settings = settings
        self.connections_max = connections_max

    def refuse(self, address: str, tick: int) -> str | None:
        """The reason why nobody more from `address` is taken now, or None."""
        if self.draining:
            return DRAINING
        settings = self._settings
        if settings.accepts_per_address_max:
            if tick >= self._window_end or len(self._recent) >= ADDRESSES_MAX:
                self._recent.clear()
                self._window_end = tick + settings.accept_window_s
            recent = self._recent.get(address, 0)
            if recent >= settings.accepts_per_address_max:
                return TOO_OFTEN
            self._recent[address] = recent + 1
        if self.connections >= self.connections_max:
            return TOO_MANY
        per_address_max = settings.connections_per_address_max
        if per_address_max and self._counts.get(address, 0) >= per_address_max:
            return ADDRESS_FULL
        return None

    def enter(self, address: str) -> str:
        """One more from `address`; returns the text to keep, which all after the first share."""
        count = self._counts.get(address, 0)
        self._counts[address] = count + 1
        self.connections += 1
        return sys.intern(address) if count else address

    def leave(self, address: str) -> None:
        count = self._counts[address] - 1
        if count:
            self._counts[address] = count
        else:
            del self._counts[address]
        self.connections -= 1

    def check(self) -> None:
        """Invariants, for tests."""
        assert sum(self._counts.values()) == self.connections
        assert all(self._counts.values())
