"""Where peers connect: listening sockets for control and groups.

Peers are told a port, or the suffix of a path: the host is the one by which they know this node, wherever they are.
"""

from __future__ import annotations

import glob
import secrets
from pathlib import Path
from typing import Final

import trio
import zmq

from replication.zeromq.adapter import Socket
from replication.zeromq.address import SUFFIX_CHARACTERS, Address
from replication.zeromq.errors import AddressInUse, AddressUnusable
from replication.zeromq.link import Entrance, Group
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import FAILED_HANDSHAKES, Sockets

REBIND_TRIES: Final = 100
REBIND_S: Final = 0.02


class Binder:
    """Makes entrances."""

    __slots__ = ("_settings", "_sockets")

    def __init__(self, sockets: Sockets, settings: LinkSettings) -> None:
        self._sockets = sockets
        self._settings = settings

    def bind_control(self, listen: Address) -> Entrance:
        """Listen for peers.

        Raises:
            AddressInUse, AddressUnusable
        """
        if listen.path:
            _clear(listen)
        return self._bind(None, listen, "")

    def bind_group(self, group: str, listen: Address) -> Entrance:
        """Listen for a group, beside the control link: on a port of its own, or at a path of its own.

        Raises:
            AddressInUse, AddressUnusable
        """
        if listen.path:
            suffix = secrets.token_hex(SUFFIX_CHARACTERS // 2)
            address = listen.beside(suffix)
            assert address is not None
            return self._bind(group, address, suffix)
        if self._settings.group_ports is None:
            return self._bind(group, Address(host=listen.host), "")
        first, last = self._settings.group_ports
        for port in range(first, last + 1):
            try:
                return self._bind(group, Address(host=listen.host, port=port), "")
            except AddressInUse:
                continue
        raise AddressInUse(f"every port from {first} to {last} of {listen.host} is in use")

    def _bind(self, group: Group, address: Address, suffix: str) -> Entrance:
        raw = self._sockets.router()
        try:
            raw.setsockopt(zmq.IPV6, int(address.is_ipv6))
            raw.bind(address.endpoint())
        except zmq.ZMQError as error:
            raw.close()
            if error.errno == zmq.EADDRINUSE:
                raise AddressInUse(f"something else listens on {address}") from None
            raise AddressUnusable(f"{address} can't be listened on: {error}") from None
        place: int | str = suffix
        if not address.path:
            endpoint = bytes(raw.getsockopt(zmq.LAST_ENDPOINT)).decode("ascii")
            place = Address.parse(endpoint.removeprefix("tcp://")).port
        return Entrance(
            group, Socket(raw), self._sockets.monitor(raw, FAILED_HANDSHAKES), place, address.path
        )

    async def rebind(self, entrance: Entrance) -> None:
        """Listen at the same place with the keys that this node has now. Who is connected has to connect anew.

        Raises:
            AddressInUse, AddressUnusable
        """
        raw = entrance.socket.raw
        endpoint = bytes(raw.getsockopt(zmq.LAST_ENDPOINT)).decode("ascii").rstrip("\0")
        raw.unbind(endpoint)
        self._sockets.put_keys(raw)
        for _ in range(REBIND_TRIES):
            try:
                raw.bind(endpoint)
                return
            except zmq.ZMQError as error:
                if error.errno != zmq.EADDRINUSE:
                    raise AddressUnusable(f"{endpoint} can't be listened on: {error}") from None
            await trio.sleep(REBIND_S)  # libzmq's own thread closes the former listener
        raise AddressInUse(f"something else listens on {endpoint}")


def _clear(listen: Address) -> None:
    """Remove the sockets of groups that an earlier process of this node left behind when it was killed."""
    path = Path(listen.path)
    for stale in path.parent.glob(f"{glob.escape(path.name)}.{'[0-9a-f]' * SUFFIX_CHARACTERS}"):
        if stale.is_socket():
            stale.unlink(missing_ok=True)


def forget(entrance: Entrance) -> None:
    """Remove what a closed entrance leaves in the file system: libzmq doesn't."""
    if entrance.path:
        Path(entrance.path).unlink(missing_ok=True)
