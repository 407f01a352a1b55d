"""The servers under measurement, started for a given number of users, behind one face.

This module knows how to start each; it must never know what is measured.
"""

import importlib.metadata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from attrs import frozen

from ops.bench import process
from ops.bench.ejabberd import EjabberdProcess
from ops.bench.ejabberd_configuration import Profile
from ops.bench.identities import number_of, public_key, stream_of
from ops.bench.node_process import NodeProcess, free_ports
from ops.bench.plan import Dialect


class Measured(Protocol):
    """What is asked of a server's process."""

    def cpu_seconds(self) -> float:
        """CPU time of all threads (and children) since the start."""
        ...

    def rss_bytes(self) -> int:
        """Resident memory now."""
        ...

    def peak_rss_bytes(self) -> int:
        """The most resident memory since the start."""
        ...

    def memory(self) -> process.Memory:
        """Resident memory now, told apart by kind."""
        ...

    def io(self) -> process.Traffic:
        """Bytes read and written since the start."""
        ...


@frozen
class Server:
    """A running server with its users' accounts.

    Attributes:
        data: the directory that it stores in.
        about: what a result says of it: name, version, configuration.
    """

    dialect: Dialect
    port: int
    tls: bool
    process: Measured
    data: Path
    about: dict[str, Any]


LIMITS_OFF: Mapping[str, Any] = MappingProxyType(
    {
        "send_rate": 1_000_000,
        "send_burst": 1_000_000,
        "mailbox_messages_max": 10_000_000,
        "mailbox_bytes_max": 1 << 40,
    }
)
"""Limits on what one user may do, of [mail]; a load of few users stands for that of many."""
LOGINS_FREE: Mapping[str, Any] = MappingProxyType({"logins_per_s_max": 0})
"""Of [session]: whoever is measured is to be there soon."""


@contextmanager
def waystation(
    directory: Path,
    users: int,
    *,
    tls: bool = False,
    mail: Mapping[str, Any] | None = None,
    statistics: Mapping[str, Any] | None = None,
) -> Iterator[Server]:
    """A node with accounts for users 0 … users - 1, ended at the end of the block.

    Args:
        mail: knobs of [mail] besides `LIMITS_OFF`.
        statistics: options of [statistics].

    Raises:
        NodeStartError: it ended or was not ready in time.
    """
    from node.accounts.provision import provision  # the only part of the node that runs in this process

    data = directory / "data"
    provision(data, [(number_of(index), public_key(index), stream_of(index)) for index in range(users)])
    public, plain = free_ports(2)
    mail = {**LIMITS_OFF, **(mail or {})}
    config: dict[str, dict[str, Any]] = {
        "node": {"data": data},
        "listen": {"host": "127.0.0.1", "port": public, "plain_port": 0 if tls else plain},
        "mail": mail,
        "session": dict(LOGINS_FREE),
        "statistics": dict(statistics or {}),
    }
    with NodeProcess.start(config, directory) as node:
        about = {
            "name": "waystation",
            "version": importlib.metadata.version("waystation"),
            "mail": {name: value for name, value in mail.items() if name not in LIMITS_OFF},
        }
        yield Server("waystation", public if tls else plain, tls, node, data, about)


@contextmanager
def ejabberd(
    directory: Path, users: int, *, tls: bool = False, profile: Profile = "debian"
) -> Iterator[Server]:
    """ejabberd with accounts for users 0 … users - 1, ended at the end of the block.

    Raises:
        EjabberdMissingError: it isn't installed.
        EjabberdStartError: it ended or was not ready in time.
    """
    with EjabberdProcess.start(directory, users, tls=tls, profile=profile) as peer:
        dialect: Dialect = "xmpp-managed" if profile == "managed" else "xmpp"
        about = {"name": "ejabberd", "version": peer.version, "profile": profile}
        yield Server(dialect, peer.port, tls, peer, directory / "mnesia", about)
