"""Several ejabberd nodes as one cluster, for comparison: each joins the first one, as `ejabberdctl join_cluster` does.

Each has a directory, a cookie file and a loopback address of its own; they talk over loopback and to nobody else, at a
port of their own without epmd. All end with the block. This module must never know what load is coming.
"""

import secrets
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from attrs import frozen

from ops.bench.cluster_load import Members
from ops.bench.ejabberd import EjabberdProcess, EjabberdStartError, Seat
from ops.bench.ejabberd_configuration import Profile
from ops.bench.plan import Dialect

_HOST: Final = "127.83.0."
"""Members are at .1, .2, …: Erlang's names of them must differ, and so must what it listens on."""
_PORTS_TRIED_MAX: Final = 20


@frozen
class EjabberdCluster:
    """nodes: those that were started, in the order in which they joined."""

    nodes: list[EjabberdProcess]
    dialect: Dialect

    @property
    def members(self) -> Members:
        """As a load sees those that live."""
        alive = [node for node in self.nodes if node.is_running]
        return Members(
            dialect=self.dialect,
            ports=tuple(node.port for node in alive),
            cpu_seconds=lambda: sum(node.cpu_seconds() for node in alive),
        )


@contextmanager
def ejabberds(
    directory: Path, count: int, users: int, *, profile: Profile = "managed"
) -> Iterator[EjabberdCluster]:
    """So many members, each with all accounts: users 0 … users - 1.

    Raises:
        EjabberdMissingError: it isn't installed.
        EjabberdStartError: one ended, didn't join, or was not ready in time.
    """
    port, cookie = _free_port(count), secrets.token_hex(16)
    with ExitStack() as stack:
        nodes: list[EjabberdProcess] = []
        for place in range(count):
            seat = Seat(_name(place), port, cookie, _name(0) if place else "")
            started = EjabberdProcess.start(
                directory / f"e{place + 1}", 0 if place else users, profile=profile, seat=seat
            )
            nodes.append(stack.enter_context(started))
        yield EjabberdCluster(nodes, "xmpp-managed" if profile == "managed" else "xmpp")


def _name(place: int) -> str:
    return f"e{place + 1}@{_HOST}{place + 1}"


def _free_port(count: int) -> int:
    """One that is free at all members' addresses.

    Raises:
        EjabberdStartError
    """
    for _ in range(_PORTS_TRIED_MAX):
        with ExitStack() as stack:
            port = 0
            try:
                for place in range(count):
                    sock = stack.enter_context(socket.socket())
                    sock.bind((f"{_HOST}{place + 1}", port))
                    port = sock.getsockname()[1]
            except OSError:
                continue
            return port
    raise EjabberdStartError(f"no port is free at each of {_HOST}1 to {_HOST}{count}")
