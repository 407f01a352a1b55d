"""The network between members: where each is reached, and cables that can be cut, one way too.

`Namespaces`: every member in a network namespace of its own, all on one bridge in another. A cut is a wrong hardware
address that one member holds for another: its packets vanish, and nobody is told. Nothing of the machine's own network
is touched, and everything goes with the processes that hold the namespaces.

`Proxied`: loopback addresses, and between each two members a TCP proxy for each direction in which connections are
made. For machines where namespaces can't be made.

It must never know what runs inside.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from ops.bench.node_process import free_ports
from ops.faults.child import Child
from ops.faults.unavailable import UnavailableError

CONTROL_PORT: Final = 7_000
GROUPS_MAX: Final = 8
"""Groups of one member, where each needs a proxy."""
_TOOLS: Final = ("ip", "nsenter", "unshare", "setpriv", "sleep")
_NOBODY: Final = "02:00:00:00:00:77"
_S_MAX: Final = 10


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
        missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
        if missing:
            raise UnavailableError(f"network namespaces need {', '.join(missing)}")
        if os.geteuid() != 0:
            raise UnavailableError("network namespaces need root")
        self._members = members
        self._holders: list[subprocess.Popen[bytes]] = []
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
        self._holders = [self._hold()]
        hub = self._holders[0].pid
        _ip(hub, "link", "add", "name", "hub0", "type", "bridge")
        _ip(hub, "link", "set", "hub0", "up")
        for member in range(self._members):
            self._holders.append(self._hold())
            self._plug(member)

    def _plug(self, member: int) -> None:
        hub, holder, plug = self._holders[0].pid, self._holders[member + 1].pid, f"plug{member}"
        _ip(holder, "link", "set", "lo", "up")
        _ip(hub, "link", "add", "name", plug, "type", "veth", "peer", "name", "ws0", "netns", str(holder))
        _ip(hub, "link", "set", plug, "master", "hub0", "up")
        _ip(holder, "link", "set", "ws0", "address", f"02:00:00:00:01:{member:02x}")
        _ip(holder, "address", "add", f"{_host(member)}/24", "dev", "ws0")
        _ip(holder, "link", "set", "ws0", "up")

    def prefix(self, member: int) -> list[str]:
        return ["nsenter", "-t", str(self._holders[member + 1].pid), "--net", "--"]

    def address(self, member: int, seen_by: int) -> str:
        return f"{_host(member)}:{CONTROL_PORT}"

    def cut(self, source: int, target: int) -> None:
        self._cuts.add((source, target))
        holder = self._holders[source + 1].pid
        place = ("neighbour", "replace", _host(target), "lladdr", _NOBODY, "dev", "ws0", "nud", "permanent")
        _ip(holder, *place)

    def heal(self) -> None:
        while self._cuts:
            source, target = self._cuts.pop()
            _ip(self._holders[source + 1].pid, "neighbour", "del", _host(target), "dev", "ws0")

    def forget(self, member: int) -> None:
        """Its namespace is replaced: sockets without a process live on in the old one, where there is no way out."""
        self._cuts = {cut for cut in self._cuts if cut[0] != member}
        _ip(self._holders[0].pid, "link", "del", f"plug{member}")
        _end(self._holders[member + 1])
        self._holders[member + 1] = self._hold()
        self._plug(member)

    def _hold(self) -> subprocess.Popen[bytes]:
        command = ["setpriv", "--pdeathsig", "KILL", "--", "unshare", "--net", "--", "sleep", "infinity"]
        holder = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603
        ours = os.readlink("/proc/self/ns/net")
        while os.readlink(f"/proc/{holder.pid}/ns/net") == ours or not _sleeps(holder.pid):
            if holder.poll() is not None:
                assert holder.stderr is not None
                text = holder.stderr.read().decode(errors="replace").strip()
                raise UnavailableError(f"no network namespace can be made here: {text}")
        return holder

    def _end(self) -> None:
        for holder in self._holders:
            _end(holder)
        self._holders.clear()


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


def _end(holder: subprocess.Popen[bytes]) -> None:
    holder.kill()
    holder.wait()
    if holder.stderr is not None:
        holder.stderr.close()


def _ports_in_a_row(count: int) -> int:
    ports = free_ports(20 * count)
    for place in range(len(ports) - count):
        if ports[place + count - 1] == ports[place] + count - 1:
            return ports[place]
    raise UnavailableError(f"no {count} free ports in a row")


def _host(member: int) -> str:
    return f"10.213.78.{member + 1}"


def _ip(holder: int, *words: str) -> None:
    done = subprocess.run(  # noqa: S603
        ["nsenter", "-t", str(holder), "--net", "--", "ip", *words],  # noqa: S607
        capture_output=True,
        text=True,
        timeout=_S_MAX,
        check=False,
    )
    if done.returncode:
        raise UnavailableError(f"ip {' '.join(words)}: {done.stderr.strip()}")


def _sleeps(pid: int) -> bool:
    """Whether unshare has become sleep: then the namespace is there to stay."""
    return Path(f"/proc/{pid}/comm").read_text().strip() == "sleep"
