"""Whether anybody listens where a peer did: a plain TCP connection of our own, made and closed, nothing said.

What is refused tells more than what isn't answered. A kernel refuses at once where no process listens, and goes on
connecting to one that stands still (listen(2): its backlog); a machine without power, or behind a cut, answers nothing.
So it is asked when the other side has closed our connection to its control entrance, until that is made anew. This
module must never know what is made of it.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import Any, Final

import trio

from replication.zeromq.address import Address
from replication.zeromq.link import Link

DISCONNECTED: Final = "disconnected"
"""Why a link ended (`link.ended`): the connection was closed, and not by this side."""
IN_A_ROW: Final = 2
"""Refusals that count: one alone may be chance."""
GAP_S: Final = 0.06
"""Between two of them."""
WAIT_S: Final = 0.3
"""For an answer, of whatever kind, and for the name."""
TRIES_MAX: Final = 30
"""After one connection has ended; by then silence tells, too."""
PLACES_MAX: Final = 8
"""That a name stands for."""


class Knocker:
    """Of one node. `refused` is told of a peer each time that it was refused often enough in a row, and says whether
    that is enough: there is nothing more to find out."""

    __slots__ = ("_knocking", "_refused")

    def __init__(self, refused: Callable[[bytes], bool]) -> None:
        self._refused = refused
        self._knocking: set[bytes] = set()

    def is_due(self, control: Link) -> bool:
        """Whether the end of this control link is worth finding out about."""
        ended = control.ended == DISCONNECTED and not (control.up or control.closed)
        return ended and control.aim is not None and control.peer.node not in self._knocking

    async def keep(self, control: Link) -> None:
        """Knock until the link is made anew, or closed, or long enough. One task for each peer."""
        node = control.peer.node
        self._knocking.add(node)
        try:
            in_a_row = 0
            for _ in range(TRIES_MAX):
                if control.up or control.closed or control.aim is None:
                    return
                in_a_row = in_a_row + 1 if await knock(control.aim) else 0
                if in_a_row >= IN_A_ROW and not (control.up or control.closed) and self._refused(node):
                    return
                await trio.sleep(GAP_S)
        finally:
            self._knocking.discard(node)


async def knock(address: Address) -> bool | None:
    """True: it is refused, wherever the name leads to. False: somebody answers. None: neither, in time."""
    found: bool | None = None
    with trio.move_on_after(WAIT_S):
        try:
            found = await _is_refused(address)
        except OSError:
            return None
    return found


async def _is_refused(address: Address) -> bool | None:
    places = await _places(address)
    for family, place in places:
        with trio.socket.socket(family, socket.SOCK_STREAM) as one:
            try:
                await one.connect(place)
            except OSError as error:
                if error.errno != errno.ECONNREFUSED:
                    raise
            else:
                return False
    return True if places else None


async def _places(address: Address) -> list[tuple[int, Any]]:
    if address.path:
        return [(socket.AF_UNIX, address.path)]
    found = await trio.socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    return [(int(one[0]), one[4]) for one in found[:PLACES_MAX]]
