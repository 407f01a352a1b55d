"""The network between members: where each is reached, and cables that can be cut, one way too.

`Namespaces`: every member in a network namespace of its own, all on one bridge in another. A cut is a wrong hardware
address that one member holds for another: its packets vanish, and nobody is told. Nothing of the machine's own network
is touched, and everything goes with the processes that hold the namespaces.

`Proxied`: loopback addresses, and between each two members a TCP proxy for each direction in which connections are
made. For machines where namespaces can't be made.

It must never know what runs inside.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from ops.bench.node_process import free_ports
from ops.faults.child import Child
from ops.faults.namespace import Namespace
from ops.faults.unavailable import UnavailableError

CONTROL_PORT: Final = 7_000
GROUPS_MAX: Final = 8
"""Groups of one member, where each needs a proxy."""
_NOBODY: Final = "02:00:00:00:00:77"


class Cables(Protocol):
    """Members are numbered from 0. A context manager."""

    group_ports: tuple[int, int] | None

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def prefix(self, member: int) -> list[str]:
        """Words before the command of a member."""
        ...

    def address(self, member: int, seen_by: int) -> str:
        """host:port of a member's control link, as another one, or itself, is to be told."""
        ...

    def cut(self, source: int, target: int) -> None:
        """Let nothing more pass from one member to another."""
        ...

    def heal(self) -> None:
        """End all cuts."""
        ...

    def forget(self, member: int) -> None:
        """What the kernel still holds of a member that was killed, to send it later, is gone."""
        ...


class Plain:
    """Loopback, and nothing that could be cut."""

    group_ports: tuple[int, int] | None = None

    def __init__(self, members: int) -> None:
        self._ports = free_ports(members)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prefix(self, member: int) -> list[str]:
        return []

    def address(self, member: int, seen_by: int) -> str:
        return f"127.0.0.1:{self._ports[member]}"

    def cut(self, source: int, target: int) -> None:
        raise UnavailableError("these cables can't be cut")

    def heal(self) -> None:
        pass

    def forget(self, member: int) -> None:
        pass


class Namespaces:
    """Raises UnavailableError: not root, a tool is missing, or the kernel doesn't let us."""

    group_ports: tuple[int, int] | None = None

    def __init__(self, members: int) -> None:
        self._members = members
        self._hub: Namespace | None = None
        self._places: list[Namespace] = []
        self._cuts: set[tuple[int, int]] = set()

    def __enter__(self) -> Self:
        try:
            self._build()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _build(self) -> None:
        hub = self._hub = Namespace()
        hub.ip("link", "add", "name", "hub0", "type", "bridge")
        hub.ip("link", "set", "hub0", "up")
        for member in range(self._members):
            self._places.append(Namespace())
            self._plug(hub, member)

    def _plug(self, hub: Namespace, member: int) -> None:
        place, plug = self._places[member], f"plug{member}"
        place.ip("link", "set", "lo", "up")
        hub.ip("link", "add", "name", plug, "type", "veth", "peer", "name", "ws0", "netns", str(place.pid))
        hub.ip("link", "set", plug, "master", "hub0", "up")
        place.ip("link", "set", "ws0", "address", f"02:00:00:00:01:{member:02x}")
        place.ip("address", "add", f"{_host(member)}/24", "dev", "ws0")
        place.ip("link", "set", "ws0", "up")

    def prefix(self, member: int) -> list[str]:
        return self._places[member].prefix

    def address(self, member: int, seen_by: int) -> str:
        return f"{_host(member)}:{CONTROL_PORT}"

    def cut(self, source: int, target: int) -> None:
        self._cuts.add((source, target))
        self._places[source].ip(
            "neighbour", "replace", _host(target), "lladdr", _NOBODY, "dev", "ws0", "nud", "permanent"
        )

    def heal(self) -> None:
        while self._cuts:
            source, target = self._cuts.pop()
            self._places[source].ip("neighbour", "del", _host(target), "dev", "ws0")

    def forget(self, member: int) -> None:
        """Its namespace is replaced: sockets without a process live on in the old one, where there is no way out."""
        assert self._hub is not None
        self._cuts = {cut for cut in self._cuts if cut[0] != member}
        self._hub.ip("link", "del", f"plug{member}")
        self._places[member].end()
        self._places[member] = Namespace()
        self._plug(self._hub, member)

    def _end(self) -> None:
        for namespace in (self._hub, *self._places):
            if namespace is not None:
                namespace.end()
        self._hub = None
        self._places.clear()


class Proxied:
    """`members` on 127.0.1.…; what member i is told of member j is 127.0.(10 + i).…, where a proxy listens."""

    def __init__(self, members: int, folder: Path) -> None:
        self._members = members
        self._folder = folder
        self._control = _ports_in_a_row(1 + GROUPS_MAX)
        self.group_ports: tuple[int, int] | None = (self._control + 1, self._control + GROUPS_MAX)
        self._stack = ExitStack()
        self._proxies: dict[tuple[int, int], Child] = {}

    def __enter__(self) -> Self:
        assert self.group_ports is not None
        try:
            for source in range(self._members):
                for target in range(self._members):
                    if source != target:
                        self._proxies[source, target] = self._proxy(source, target, self.group_ports[1])
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _proxy(self, source: int, target: int, last: int) -> Child:
        seen, real = f"127.0.{10 + source}.{target + 1}", f"127.0.1.{target + 1}"
        pairs = [f"{seen}:{port}={real}:{port}" for port in range(self._control, last + 1)]
        log = self._folder / f"proxy-{source}-{target}.log"
        return self._stack.enter_context(Child([sys.executable, "-m", "ops.faults.proxy", *pairs], log))

    def prefix(self, member: int) -> list[str]:
        return []

    def address(self, member: int, seen_by: int) -> str:
        host = f"127.0.1.{member + 1}" if member == seen_by else f"127.0.{10 + seen_by}.{member + 1}"
        return f"{host}:{self._control}"

    def cut(self, source: int, target: int) -> None:
        self._proxies[source, target].tell("cut forth")
        self._proxies[target, source].tell("cut back")

    def heal(self) -> None:
        for proxy in self._proxies.values():
            proxy.tell("heal")

    def forget(self, member: int) -> None:
        for ends, proxy in self._proxies.items():
            if member in ends:
                proxy.tell("reset")


def _ports_in_a_row(count: int) -> int:
    ports = free_ports(20 * count)
    for place in range(len(ports) - count):
        if ports[place + count - 1] == ports[place] + count - 1:
            return ports[place]
    raise UnavailableError(f"no {count} free ports in a row")


def _host(member: int) -> str:
    return f"10.213.78.{member + 1}"
