"""Where peers connect: listening sockets for control and groups, and the addresses that peers are told."""

from __future__ import annotations

import secrets

import zmq

from replication.zeromq.adapter import Socket
from replication.zeromq.address import PATH_BYTES_MAX, Address
from replication.zeromq.errors import AddressInUse, AddressUnusable
from replication.zeromq.link import Entrance, Group
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import FAILED_HANDSHAKES, Sockets


class Binder:
    """Makes entrances. `own_host` is where peers reach this node, unless the settings say otherwise."""

    __slots__ = ("_announced", "_settings", "_sockets")

    def __init__(self, sockets: Sockets, settings: LinkSettings, own_host: str) -> None:
        self._sockets = sockets
        self._settings = settings
        self._announced = settings.announce_host or own_host

    def bind_group(self, group: str, listen: Address) -> Entrance:
        """Listen for a group, beside the control link: on a port of its own, or at a path of its own.

        Raises:
            AddressInUse, AddressUnusable
        """
        if listen.path:
            path = f"{listen.path}.{secrets.token_hex(4)}"
            if len(path.encode()) > PATH_BYTES_MAX:
                raise AddressUnusable(f"{path} is longer than {PATH_BYTES_MAX} bytes")
            return self.bind(group, Address(path=path))
        if self._settings.group_ports is None:
            return self.bind(group, Address(host=listen.host))
        first, last = self._settings.group_ports
        for port in range(first, last + 1):
            try:
                return self.bind(group, Address(host=listen.host, port=port))
            except AddressInUse:
                continue
        raise AddressInUse(f"every port from {first} to {last} of {listen.host} is in use")

    def bind(self, group: Group, address: Address) -> Entrance:
        """Listen there. The address of the result is the one that peers are told.

        Raises:
            AddressInUse, AddressUnusable
        """
        raw = self._sockets.router()
        try:
            raw.setsockopt(zmq.IPV6, int(address.is_ipv6))
            monitor = self._sockets.monitor(raw, FAILED_HANDSHAKES)
            try:
                raw.bind(address.endpoint())
            except BaseException:
                raw.disable_monitor()
                monitor.close()
                raise
        except zmq.ZMQError as error:
            raw.close()
            if error.errno == zmq.EADDRINUSE:
                raise AddressInUse(f"something else listens on {address}") from None
            raise AddressUnusable(f"{address} can't be listened on: {error}") from None
        if not address.path:
            endpoint = bytes(raw.getsockopt(zmq.LAST_ENDPOINT)).decode("ascii")
            address = Address(host=self._announced, port=Address.parse(endpoint.removeprefix("tcp://")).port)
        return Entrance(group, Socket(raw), monitor, address)
