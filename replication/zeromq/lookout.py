"""One wake-up for all sockets of a node's links: their descriptors in one poll set, and who of them may have something.

A descriptor of ZeroMQ is readable when something has changed, and not again until that was looked at, so a socket
that is attended is marked by whoever else does something with it (see `adapter`). Waiting for each socket with a task
of its own cost a task's turn for each, and a pass of the host. This module must never know what goes over a socket.
"""

from __future__ import annotations

import os
import select
import time
from typing import Any, Final, Protocol

import trio
import zmq

from replication.zeromq.adapter import Socket
from replication.zeromq.link import Bell
from replication.zeromq.settings import TURN_MS_MAX

EVENTS_MAX: Final = 1_024
"""Descriptors of one poll; the rest is readable at the next one."""

_IN: Final = int(zmq.POLLIN)


class Attendant(Protocol):
    """Sees to sockets."""

    def attend(self, subject: Any, ends_at: float) -> bool:
        """See to what the socket has, until about `ends_at` (time.monotonic). Whether there may be more: it is called
        again then. It isn't, if nothing was there that it could have seen to."""
        ...


class Lookout:
    """`look` when `ready` has returned True; or, for who has borrowed it, when the descriptor that `lend` gave is
    readable. Opened before it is used."""

    __slots__ = ("_back", "_bell", "_due", "_entries", "_epoll", "_lent", "_rung")

    def __init__(self) -> None:
        self._lent = False
        self._back = Bell()
        self._epoll: select.epoll | None = None
        self._bell = -1
        self._rung = False
        self._entries: dict[int, tuple[Socket, Attendant, Any]] = {}
        self._due: dict[int, None] = {}  # who is to be seen to, whatever the poll set says; in order

    def open(self) -> None:
        """Before anything else."""
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._epoll = select.epoll()
        self._epoll.register(self._bell, select.EPOLLIN)

    def close(self) -> None:
        """Nobody is looked after any more."""
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None
            os.close(self._bell)

    async def ready(self) -> bool:
        """Wait until there may be something to look at; False if that is another one's to do."""
        if self._lent:
            await self._back.wait()
            return False
        assert self._epoll is not None, "opened"
        await trio.lowlevel.wait_readable(self._epoll.fileno())
        return not self._lent

    def lend(self) -> int:
        """Whoever calls this looks from now on when the descriptor that it gives is readable, until `take_back`: a host
        that waits for much else, and hands over all of it in one pass."""
        assert self._epoll is not None, "opened"
        self._lent = True
        self.ring()  # who waited for it waits for its return
        return self._epoll.fileno()

    def take_back(self) -> None:
        """Nobody else looks any more."""
        self._lent = False
        self._back.ring()

    def add(self, socket: Socket, attendant: Attendant, subject: Any, *, marked: bool = True) -> None:
        """See to it from now on, and at once. No task waits for it meanwhile.

        Args:
            marked: whether each operation looks if there is something to be read, and marks it, which is a system call
            for each. If not, what comes while something is sent is seen with what comes next.
        """
        assert self._epoll is not None, "opened"
        fd = socket.fd
        assert fd not in self._entries
        self._entries[fd] = (socket, attendant, subject)
        self._epoll.register(fd, select.EPOLLIN)
        socket.attended(_IN if marked else 0, self)
        self.mark(fd)

    def remove(self, socket: Socket) -> None:
        """Before it is closed. Nothing happens if it isn't looked after."""
        entry = self._entries.get(socket.fd)
        if entry is None or entry[0] is not socket:
            return
        socket.attended(0, None)
        del self._entries[socket.fd]
        self._due.pop(socket.fd, None)
        if self._epoll is not None:
            self._epoll.unregister(socket.fd)

    def mark(self, fd: int) -> None:
        """It may have something that its descriptor doesn't tell."""
        self._due[fd] = None
        self.ring()

    def ring(self) -> None:
        """Make the poll set readable, until the next `look`."""
        if not self._rung and self._epoll is not None:
            self._rung = True
            os.eventfd_write(self._bell, 1)

    def look(self) -> None:
        """See to those who have something, for a turn; who isn't finished then goes on in the next one, behind those
        who weren't seen to."""
        assert self._epoll is not None, "opened"
        due = self._due
        for fd, _ in self._epoll.poll(0, EVENTS_MAX):
            if fd != self._bell:
                due[fd] = None
            else:
                os.eventfd_read(fd)
                self._rung = False
        ends_at = time.monotonic() + TURN_MS_MAX / 1000
        try:
            for fd in tuple(due):
                if self._is_left(fd, ends_at):
                    due[fd] = None
                if time.monotonic() > ends_at:
                    break
        finally:
            if due:
                self.ring()

    def _is_left(self, fd: int, ends_at: float) -> bool:
        """See to one. Whoever marks it meanwhile isn't forgotten."""
        self._due.pop(fd, None)
        entry = self._entries.get(fd)
        if entry is None:
            return False
        _, attendant, subject = entry
        try:
            return attendant.attend(subject, ends_at)
        except BaseException:
            self._due[fd] = None  # the rest of it is still there
            raise
