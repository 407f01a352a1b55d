"""A TCP proxy between nodes that can do to their connections what networks do: cut, one-way too, delay, reset, forget.

    forth   from who connected to who listens         back    the other way

In a `cut` nothing passes and nobody is told; what is on its way waits, as TCP's unacknowledged bytes do, and arrives
when it heals, if both ends still want it. Who connects during a cut is accepted by the kernel and hears nothing. It
must never know what passes.

As a process: `python -m ops.faults.proxy LISTEN=TARGET …` (host:port each); told by lines on stdin:

    cut [forth|back]   heal   delay MILLISECONDS   reset   refuse   accept   forget

and answers each with the line "done".
"""

from __future__ import annotations

import contextlib
import socket
import struct
import sys
from collections.abc import Sequence
from typing import Final

import trio

CHUNK_BYTES: Final = 65_536
CHUNKS_MAX: Final = 256
"""On their way in one direction of a connection: the bytes that a delayed network holds."""

FORTH: Final = "forth"
BACK: Final = "back"
DIRECTIONS: Final = (FORTH, BACK)
_RESET: Final = struct.pack("ii", 1, 0)
_CONNECT_S_MAX: Final = 5.0

Place = tuple[str, int]


class _Connection:
    """A connection through the proxy: both sockets, and the tasks that carry."""

    __slots__ = ("forgotten", "gently", "listener", "opener", "scope")

    def __init__(self, opener: trio.socket.SocketType) -> None:
        self.opener = opener
        self.listener: trio.socket.SocketType | None = None
        self.scope = trio.CancelScope()
        self.forgotten = False
        self.gently = False  # one end has ended it, so the other gets an end, too, and no reset


class Proxy:
    """Carries connections from where it listens to a target, while `run` runs.

    `connections` counts those that came; `carried` the bytes that passed, by direction.
    """

    def __init__(self, listen: Place, target: Place) -> None:
        self._listen = listen
        self._target = target
        self._open: set[_Connection] = set()
        self._cut: set[str] = set()
        self._changed = trio.Event()
        self._delay_s = 0.0
        self._refusing = False
        self.connections = 0
        self.carried = dict.fromkeys(DIRECTIONS, 0)

    # ---- what goes wrong -------------------------------------------------------------------------

    def cut(self, *directions: str) -> None:
        """Let nothing pass any more; by default both ways."""
        self._cut |= set(directions or DIRECTIONS)

    def heal(self) -> None:
        """End every cut, delay and refusal."""
        self._cut.clear()
        self._delay_s = 0.0
        self._refusing = False
        self._changed.set()
        self._changed = trio.Event()

    def delay(self, seconds: float) -> None:
        """Let everything arrive so much later than it would."""
        self._delay_s = seconds

    def reset(self) -> None:
        """End every connection with a reset at both ends."""
        for connection in list(self._open):
            connection.scope.cancel()

    def refuse(self) -> None:
        """Reset whoever connects from now on."""
        self._refusing = True

    def accept(self) -> None:
        """Carry newcomers again."""
        self._refusing = False

    def forget(self) -> None:
        """Half-open: who listens sees a reset; who connected isn't told, and what it sends vanishes."""
        for connection in self._open:
            connection.forgotten = True
            if connection.listener is not None:
                _reset(connection.listener)

    @property
    def open(self) -> int:
        """Connections now."""
        return len(self._open)

    # ---- carrying --------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[Place] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then everything is reset. Started, it gives where it listens."""
        family = socket.AF_INET6 if ":" in self._listen[0] else socket.AF_INET
        with trio.socket.socket(family) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            await listening.bind(self._listen)
            listening.listen()
            async with trio.open_nursery() as nursery:
                name = listening.getsockname()
                task_status.started((name[0], name[1]))
                while True:
                    opener, _ = await listening.accept()
                    self.connections += 1
                    if self._refusing:
                        _reset(opener)
                    else:
                        nursery.start_soon(self._serve, _Connection(opener))

    async def _serve(self, connection: _Connection) -> None:
        self._open.add(connection)
        try:
            with connection.scope:
                await self._connect(connection)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, connection, FORTH)
                    nursery.start_soon(self._carry, connection, BACK)
        except* (OSError, trio.TooSlowError, trio.BrokenResourceError):
            pass
        finally:
            self._open.discard(connection)
            for sock in (connection.opener, connection.listener):
                if sock is not None and connection.gently:
                    sock.close()
                elif sock is not None:
                    _reset(sock)

    async def _connect(self, connection: _Connection) -> None:
        while FORTH in self._cut:
            await self._changed.wait()
        family = socket.AF_INET6 if ":" in self._target[0] else socket.AF_INET
        connection.listener = trio.socket.socket(family)
        with trio.fail_after(_CONNECT_S_MAX):
            await connection.listener.connect(self._target)
        for sock in (connection.opener, connection.listener):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def _carry(self, connection: _Connection, direction: str) -> None:
        """Read one side and write the other; the connection ends with the first side that does."""
        assert connection.listener is not None
        source, sink = connection.opener, connection.listener
        if direction == BACK:
            source, sink = sink, source
        send, receive = trio.open_memory_channel[tuple[float, bytes]](CHUNKS_MAX)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._deliver, connection, direction, sink, receive)
            async with send:
                while True:
                    await self._passable(direction)
                    try:
                        data = await source.recv(CHUNK_BYTES)
                    except (OSError, trio.ClosedResourceError):
                        data = b""
                    if connection.forgotten and (direction == BACK or not data):
                        await trio.sleep_forever()  # nobody is told of the end
                    if not data:
                        break
                    if not connection.forgotten:
                        await send.send((trio.current_time() + self._delay_s, data))
        connection.gently = True
        connection.scope.cancel()

    async def _deliver(
        self,
        connection: _Connection,
        direction: str,
        sink: trio.socket.SocketType,
        chunks: trio.MemoryReceiveChannel[tuple[float, bytes]],
    ) -> None:
        async with chunks:
            async for due, data in chunks:
                await trio.sleep_until(due)
                await self._passable(direction)
                rest = memoryview(data)
                with contextlib.suppress(trio.ClosedResourceError):  # forgotten meanwhile
                    while rest and not connection.forgotten:
                        rest = rest[await sink.send(rest) :]
                self.carried[direction] += len(data)

    async def _passable(self, direction: str) -> None:
        while direction in self._cut:
            await self._changed.wait()


def _reset(sock: trio.socket.SocketType) -> None:
    """Close so that the other end gets a reset, not an end."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    sock.close()


# ---- as a process --------------------------------------------------------------------------------


def obey(proxies: Sequence[Proxy], line: str) -> str:
    """Do what a line says; gives the answer."""
    match line.split():
        case ["cut", *directions] if set(directions) <= set(DIRECTIONS):
            for proxy in proxies:
                proxy.cut(*directions)
        case ["delay", milliseconds] if milliseconds.isascii() and milliseconds.isdigit():
            for proxy in proxies:
                proxy.delay(int(milliseconds) / 1000)
        case ["heal" | "reset" | "refuse" | "accept" | "forget" as what]:
            for proxy in proxies:
                getattr(proxy, what)()
        case _:
            return "what?"
    return "done"


async def serve(pairs: Sequence[tuple[Place, Place]]) -> None:
    """All pairs, until the end of stdin."""
    proxies = [Proxy(*pair) for pair in pairs]
    async with trio.open_nursery() as nursery:
        for proxy in proxies:
            await nursery.start(proxy.run)
        sys.stdout.write("listening\n")
        sys.stdout.flush()
        while line := await trio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True):
            sys.stdout.write(obey(proxies, line) + "\n")
            sys.stdout.flush()
        nursery.cancel_scope.cancel()


def _pair(text: str) -> tuple[Place, Place]:
    listen, _, target = text.partition("=")
    return _place(listen), _place(target)


def _place(text: str) -> Place:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    trio.run(serve, [_pair(text) for text in sys.argv[1:]])
