"""With what a node begins: an empty hub, or what another process has handed over, or what this one couldn't hand over.

The upgrade itself is `admin/upgrade`; here its two ends are put to `waystation run`.
"""

import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version

import attrs

from admin.systemd.inherited import STORED, Inherited
from admin.systemd.supervision import Supervision
from admin.upgrade.errors import ChannelLost
from admin.upgrade.predecessor import Predecessor
from node.assembling import Parts
from node.handing.freezing import Cargo
from node.handing.restoring import restore
from node.hub.settings import ListenerSettings
from node.running import NodeSettings
from ops.config import ConfigError
from ops.failures import leaves


def _nothing(parts: Parts) -> None:
    """Nobody is there yet."""


@attrs.frozen
class Start:
    """See `Surroundings`, of which these are fields."""

    listening: Callable[[ListenerSettings], socket.socket | None]
    begin: Callable[[Parts], None] = _nothing


def start_anew(
    supervision: Supervision, listeners: Sequence[ListenerSettings], predecessor: Predecessor | None
) -> Start:
    """With what systemd has handed to us, or a predecessor.

    Raises:
        OSError: a socket that is there can't be used.
    """
    if predecessor is None or predecessor.handed is None:
        return Start(supervision.prepare(listeners))
    handed = predecessor.handed
    count = len(handed.listeners)
    sockets, sessions = predecessor.descriptors[:count], predecessor.descriptors[count:]
    supervision.inherit(
        Inherited(
            {
                one.name if one.unit else STORED + one.name: socket.socket(fileno=fd)
                for one, fd in zip(handed.listeners, sockets, strict=True)
            }
        )
    )

    def begin(parts: Parts) -> None:
        restore(parts.hub, parts.service, handed, sessions)
        predecessor.taken()

    return Start(supervision.prepare(listeners), begin)


def start_again(cargo: Cargo) -> Start:
    """With what nobody took."""
    handed = cargo.handed
    count = len(handed.listeners)
    by_name = {one.name: each for one, each in zip(handed.listeners, cargo.sockets, strict=True)}

    def begin(parts: Parts) -> None:
        restore(parts.hub, parts.service, handed, cargo.descriptors[count:])

    return Start(lambda settings: by_name.get(settings.name), begin)


@contextmanager
def said_to(predecessor: Predecessor | None) -> Iterator[None]:
    """What ends this process is said to the one that started it; if that serves on, it isn't our failure."""
    try:
        yield
    except Exception as error:
        if predecessor is None:
            raise
        found = leaves(error) if isinstance(error, ExceptionGroup) else [error]
        if all(isinstance(one, ChannelLost) for one in found):
            sys.stderr.write(f"waystation: this process isn't needed: {found[0]}\n")
            sys.exit(1)
        predecessor.failed("; ".join(f"{type(one).__name__}: {one}" for one in found))
        raise


def wait_for(predecessor: Predecessor, settings: NodeSettings) -> None:
    """For what it hands over.

    Raises:
        ChannelLost: it was called off.
        ConfigError: it is another kind of node, of a release that didn't ask.
    """
    member = settings.member is not None
    if predecessor.wait(version("waystation"), member=member).member != member:
        raise ConfigError("a node that stands alone can't be succeeded by a member of a cluster: restart it")
