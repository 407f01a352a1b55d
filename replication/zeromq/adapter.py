"""A pyzmq socket that Trio tasks can wait for. Knows nothing of what goes over it.

ZeroMQ gives each socket one file descriptor that becomes readable when *something* has changed, and not again until
that was looked at ("edge-triggered": ZMQ_FD in zmq_getsockopt(3)). Any operation on the socket may be that look. So:

- operations are done without waiting (NOBLOCK); what is possible says the option EVENTS, after each operation again;
- one task waits on the descriptor, others who wait for the same socket are parked;
- whoever has done an operation looks at EVENTS and wakes those whose event is there, for the operation may have eaten
  the edge they wait for;
- between a successful receive and its return is no await, so a cancellation never swallows a message;
- before a close, Trio is told (`notify_closing`).

A socket that is looked after by a `Lookout` has no task that waits for it; an operation marks it there.
"""

from __future__ import annotations

from typing import Final, Protocol

import trio
import zmq

from replication.zeromq.settings import DRAIN_BYTES, DRAIN_MESSAGES

Frames = list[zmq.Frame]
"""One message as it was received."""

_IN: Final = int(zmq.POLLIN)
_OUT: Final = int(zmq.POLLOUT)
_EVENTS: Final = int(zmq.EVENTS)
_NOBLOCK: Final = int(zmq.NOBLOCK)

COPY_BYTES_MAX: Final = 131_072
"""Up to so much it is cheaper to copy what is sent than to tell pyzmq's collector thread when it is done with."""


class Marking(Protocol):
    """Told of a socket, by its descriptor, that may have something."""

    def mark(self, fd: int) -> None: ...


class Socket:
    """`raw` belongs to this object; so does the duty to close it. One thread only, that of the Trio loop. `fd`: becomes
    readable when something has changed."""

    __slots__ = ("_lookout", "_lot", "_nudges", "_scope", "_waiting", "_wanted", "fd", "raw")

    def __init__(self, raw: zmq.Socket[bytes]) -> None:
        self.raw = raw
        self.fd = int(raw.getsockopt(zmq.FD))
        self._wanted = 0  # the events that it is marked for
        self._lookout: Marking | None = None
        self._scope: trio.CancelScope | None = None  # of the task that waits on the descriptor
        self._lot = trio.lowlevel.ParkingLot()  # the others
        self._waiting: list[int] = []  # what all of them wait for
        self._nudges = 0

    @property
    def closed(self) -> bool:
        return bool(self.raw.closed)

    # ---- at once ---------------------------------------------------------------------------------

    def send_nowait(self, data: bytes) -> bool:
        """Whether ZeroMQ took the message of this one frame; if not, nothing of it was sent.

        Raises:
            trio.ClosedResourceError
        """
        self._check_open()
        try:
            self.raw.send(data, _NOBLOCK, copy=len(data) <= COPY_BYTES_MAX, track=False)
        except zmq.Again:
            return False
        finally:
            if self._waiting or self._wanted:
                self._tell(self.events())
        return True

    def reply_nowait(self, route: bytes, data: bytes) -> bool:
        """Send to one peer of a ROUTER; dropped if that peer has gone or doesn't read its answers.

        Whether it was taken; without ROUTER_MANDATORY ZeroMQ doesn't tell, and it is always True.

        Raises:
            trio.ClosedResourceError
        """
        self._check_open()
        try:
            self.raw.send_multipart((route, data), _NOBLOCK, copy=True)
        except (zmq.Again, zmq.error.ZMQError) as error:
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            return False
        finally:
            if self._waiting or self._wanted:
                self._tell(self.events())
        return True

    def receive_nowait(
        self, messages_max: int = DRAIN_MESSAGES, bytes_max: int = DRAIN_BYTES
    ) -> list[Frames]:
        """What is there, whole messages; may be nothing. Stops after the message with which a limit is reached.

        Raises:
            trio.ClosedResourceError
        """
        self._check_open()
        receive = self.raw.recv
        messages: list[Frames] = []
        size = 0
        try:
            while len(messages) < messages_max and size < bytes_max:
                frame = receive(_NOBLOCK, copy=False)
                frames = [frame]
                messages.append(frames)
                size += len(frame)
                while frame.more:  # the rest of a message is there when its first frame is
                    frame = receive(_NOBLOCK, copy=False)
                    frames.append(frame)
                    size += len(frame)
        except zmq.Again:
            pass
        if self._waiting or self._wanted:
            self._tell(self.events())
        return messages

    def next_nowait(self) -> Frames | None:
        """One message, if there is one. Whoever takes some and stops before there is none has to come back, or to look
        at `events`: nobody is told.

        Raises:
            trio.ClosedResourceError
        """
        self._check_open()
        receive = self.raw.recv
        try:
            frame = receive(_NOBLOCK, copy=False)
        except zmq.Again:
            return None
        frames = [frame]
        while frame.more:
            frame = receive(_NOBLOCK, copy=False)
            frames.append(frame)
        return frames

    def events(self) -> int:
        """POLLIN and POLLOUT, as they are now."""
        return int(self.raw.getsockopt(_EVENTS))

    # ---- looked after ----------------------------------------------------------------------------

    def attended(self, wanted: int, lookout: Marking | None) -> None:
        """From now on `lookout` is told when an operation leaves one of these events; or nobody any more."""
        self._wanted, self._lookout = wanted, lookout

    def look_again(self, wanted: int) -> None:
        """One of these events may be there, and an operation may have eaten what would have told of it."""
        if self._lookout is not None and self.events() & wanted:
            self._lookout.mark(self.fd)

    # ---- waiting ---------------------------------------------------------------------------------

    async def wait(self, wanted: int) -> int:
        """Until one of the `wanted` events is there, or somebody nudges. Gives the events; a checkpoint.

        Raises:
            trio.ClosedResourceError: also if it is closed meanwhile.
        """
        nudges = self._nudges
        slept = False
        while True:
            self._check_open()
            ready = self.events()
            if self._waiting:
                self._tell(ready)
            if ready & wanted or nudges != self._nudges:
                if not slept:
                    await trio.lowlevel.checkpoint()
                return ready
            slept = True
            self._waiting.append(wanted)
            try:
                if self._scope is None:
                    await self._watch()
                else:
                    await self._lot.park()
            finally:
                self._waiting.remove(wanted)

    async def receive(self, messages_max: int = DRAIN_MESSAGES, bytes_max: int = DRAIN_BYTES) -> list[Frames]:
        """At least one message, and what else is there, as `receive_nowait`. Cancelled, it has received nothing."""
        while True:
            await self.wait(_IN)
            messages = self.receive_nowait(messages_max, bytes_max)
            if messages:
                return messages

    async def send(self, data: bytes) -> None:
        """Send a message of one frame as soon as ZeroMQ takes it. Cancelled, it was not sent."""
        await trio.lowlevel.checkpoint()
        while not self.send_nowait(data):
            await self.wait(_OUT)

    def nudge(self) -> None:
        """Let everyone who waits come back and think again what to wait for."""
        self._nudges += 1
        self._wake()
        if self._lookout is not None:
            self._lookout.mark(self.fd)

    async def _watch(self) -> None:
        """Until the descriptor is readable, or `_wake`. Whoever is parked then looks for himself, or watches next."""
        with trio.CancelScope() as scope:
            self._scope = scope
            try:
                await trio.lowlevel.wait_readable(self.fd)
            finally:
                self._scope = None
                self._lot.unpark_all()

    def _tell(self, ready: int) -> None:
        if ready & self._wanted and self._lookout is not None:
            self._lookout.mark(self.fd)
        for wanted in self._waiting:
            if wanted & ready:
                self._wake()
                return

    def _wake(self) -> None:
        if self._scope is not None:
            self._scope.cancel()
        self._lot.unpark_all()

    # ---- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """At once: what ZeroMQ hasn't sent is dropped, who waits gets ClosedResourceError. Twice is once."""
        if self.raw.closed:
            return
        trio.lowlevel.notify_closing(self.fd)
        self.raw.close(linger=0)
        self._lot.unpark_all()

    def _check_open(self) -> None:
        if self.raw.closed:
            raise trio.ClosedResourceError("the socket is closed")
