"""Listening sockets that a process was started with: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES of sd_listen_fds(3).

A socket unit names its sockets as the node's ports are named: public, own, plain. What the node itself has put into
systemd's descriptor store comes back as stored-NAME; it is used only if it is what the configuration asks for now.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Final

import structlog

from node.hub.listener import prepare
from node.hub.settings import ListenerSettings

log = structlog.get_logger()

FIRST: Final = 3
"""SD_LISTEN_FDS_START."""
DESCRIPTORS_MAX: Final = 1_024
STORED: Final = "stored-"
VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def take_descriptors(environment: MutableMapping[str, str], pid: int) -> list[tuple[str, int]]:
    """(name, descriptor) of each that came for this process; its children shall not have them, nor hear of them."""
    texts = [environment.pop(name, "") for name in VARIABLES]
    if texts[0] != str(pid) or not texts[1].isdecimal():
        return []
    count = min(int(texts[1]), DESCRIPTORS_MAX)
    names = texts[2].split(":") if texts[2] else []
    found = []
    for place in range(count):
        os.set_inheritable(FIRST + place, False)
        found.append((names[place] if place < len(names) else "unknown", FIRST + place))
    return found


class Inherited:
    """Sockets by name, until somebody listens on them."""

    def __init__(self, sockets: Mapping[str, socket.socket]) -> None:
        self.units: set[str] = set()  # names of those that came from a socket unit, and are listened on
        self._sockets = dict(sockets)

    @classmethod
    def of(cls, environment: MutableMapping[str, str], pid: int) -> Inherited:
        """What came with the start. What isn't a listening TCP socket is closed, and logged."""
        sockets: dict[str, socket.socket] = {}
        for name, descriptor in take_descriptors(environment, pid):
            found = _listening(descriptor)
            if found is None or name in sockets:
                log.warning("a descriptor that came with the start is of no use", name=name)
                if found is not None:
                    found.close()
            else:
                sockets[name] = found
        return cls(sockets)

    def take(self, settings: ListenerSettings) -> socket.socket | None:
        """The socket for this port, ready to be listened on; None if there is none.

        Raises:
            OSError: it can't be made so.
        """
        found = self._sockets.pop(settings.name, None)
        if found is None:
            stored = self._sockets.get(STORED + settings.name)
            if stored is None or not _fits(stored, settings):
                return None
            found = self._sockets.pop(STORED + settings.name)
        else:
            self.units.add(settings.name)
        prepare(found, settings)
        log.info(
            "listening on a socket that was there before", name=settings.name, port=found.getsockname()[1]
        )
        return found

    def close_rest(self) -> list[str]:
        """Nobody wants what is left. Gives the names."""
        names = list(self._sockets)
        for one in self._sockets.values():
            one.close()
        self._sockets.clear()
        return names


def _listening(descriptor: int) -> socket.socket | None:
    try:
        found = socket.socket(fileno=descriptor)
    except OSError:  # no socket at all
        os.close(descriptor)
        return None
    if (
        found.family in (socket.AF_INET, socket.AF_INET6)
        and found.type == socket.SOCK_STREAM
        and found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    ):
        return found
    found.close()
    return None


def _fits(found: socket.socket, settings: ListenerSettings) -> bool:
    """Whether it is what would be opened now."""
    if bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT)) != settings.reuse_port:
        return False
    try:
        wanted = socket.getaddrinfo(settings.host, settings.port, found.family, socket.SOCK_STREAM)
    except OSError:
        return False
    return any(address[:2] == found.getsockname()[:2] for *_, address in wanted)
