"""Out of the tap's buffer, stripped, to the test node: over a connection that is made anew whenever it is lost.

It works a bounded time of every fiftieth of a second, and never waits for the test node: what that doesn't take stays
in the buffer, and what the buffer has no room for is dropped there. Runs beside the hub, on its loop.
"""

from __future__ import annotations

import time
from typing import Any, Final

import msgspec
import structlog
import trio
import zmq

from admin.channel.errors import PlaceUnusable
from admin.channel.place import Endpoint, Place
from admin.tee import figures, records
from admin.tee.figures import Mark
from admin.tee.settings import (
    BATCH_BYTES_MAX,
    BATCHES_QUEUED_MAX,
    BUFFER_ENTRIES_MAX,
    RECONNECT_S,
    REPORT_BYTES_MAX,
    REPORT_S,
    SHED_S,
    TICK_S,
    WORK_S_MAX,
)
from admin.tee.stripping import Stripper
from admin.tee.tap import CLOSED, OPENED, Tapping
from node.hub.walking import SLICE, connections_from
from node.running import Running
from node.session import TALKING
from node.wire.errors import WireError
from replication.zeromq.adapter import Socket
from replication.zeromq.address import resolve
from replication.zeromq.boundedlog import BoundedLog
from replication.zeromq.errors import LinkError
from replication.zeromq.keys import Keys
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import ENDS, FAILED_HANDSHAKES, Sockets, end_monitor, event_of

log = structlog.get_logger()

_UP: Final = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
CONNECTING: Final = "connecting"
"""The state of a tee that nobody takes anything of now."""
REFUSED: Final = "the test node refuses this node's key, or has another one than was given"
NOBODY: Final = "nobody listens there, or it hung up"
_REPORTS: Final = msgspec.json.Decoder(dict[str, int | float | None])


class Sender:
    """Of one tee.

    state: "connecting" or "on". trouble: why the last connection ended, "" if there was none. report: what the test
    node said last. mark: when this connection began.
    """

    def __init__(
        self, place: Place, node_key: str, keys: Keys, tap: Tapping, running: Running, share: float
    ) -> None:
        self.state = CONNECTING
        self.trouble = ""
        self.report: dict[str, int | float | None] = {}
        self.mark = Mark.of(running)
        self.stripper = Stripper(tap.counts)
        self.changed = trio.Event()  # after the first attempt
        self._place = place
        self._node_key = node_key
        self._tap = tap
        self._running = running
        self._share = share
        self._sockets = Sockets(keys, LinkSettings())
        self._log = BoundedLog()
        self._batch: bytes | None = None
        self._up = trio.Event()
        self._beat_at = 0.0

    async def run(self) -> None:
        """Connect and send until cancelled. The tap is left empty."""
        self._sockets.start()
        try:
            while True:
                await self.step()
        finally:
            self._tap.stop()
            self._sockets.end()

    async def step(self) -> None:
        """One connection, from its beginning to its end, and a pause."""
        self.trouble = await self._connection()
        self.state = CONNECTING
        self.changed.set()
        self._log.warn("tee_lost", cause=self.trouble, place=str(self._place))
        await trio.sleep(RECONNECT_S)

    async def _connection(self) -> str:
        """Why it ended."""
        try:
            with Endpoint(self._place) as endpoint:
                address = await resolve(endpoint.address)
                raw = self._sockets.dealer(address, self._node_key)
                raw.setsockopt(zmq.SNDHWM, BATCHES_QUEUED_MAX)
                raw.setsockopt(zmq.MAXMSGSIZE, REPORT_BYTES_MAX)
                monitor = self._sockets.monitor(raw, ENDS | FAILED_HANDSHAKES | _UP)
                try:
                    raw.connect(address.endpoint())
                    return await self._serve(Socket(raw), monitor)
                finally:
                    end_monitor(raw, monitor)  # before the socket, whose end it would be told of otherwise
                    raw.close(linger=0)
        except (LinkError, PlaceUnusable, zmq.ZMQError) as error:
            return str(error)

    async def _serve(self, socket: Socket, monitor: Socket) -> str:
        self._up = trio.Event()
        self._batch = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, socket)
                nursery.start_soon(self._listen, socket)
                ended = await self._watch(monitor)
                nursery.cancel_scope.cancel()
        finally:
            self._tap.stop()
        return ended

    async def _watch(self, monitor: Socket) -> str:
        """Until the connection has ended. Gives why."""
        ended = ""
        while not ended:
            for frames in await monitor.receive():
                event = event_of(frames[0].bytes)
                if event & _UP:
                    self._up.set()
                elif not ended:
                    ended = REFUSED if event & FAILED_HANDSHAKES else NOBODY
        return ended

    # ---- out -------------------------------------------------------------------------------------

    async def _send(self, socket: Socket) -> None:
        await self._up.wait()
        await socket.send(records.write_hello(self._running.node.hex(), self._share))
        self._tap.told.clear()
        self._tap.errors.clear()
        self.stripper.said.clear()
        self.report = {}
        self.mark = Mark.of(self._running)
        self._tap.active = True
        self.state, self.trouble = "on", ""
        self._tap.counts.connects += 1
        self.changed.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._walk)
            nursery.start_soon(self._shed)
            while True:
                await self._tick(socket)

    async def _walk(self) -> None:
        """Open who is logged in already."""
        place: int | None = 0
        while place is not None:
            some, place = connections_from(self._running.hub, place)
            for session in some:
                if session.phase == TALKING and not session.is_closing and self._tap.wants(session):
                    self._tap.open(session)
            full = len(self._tap.buffer) > BUFFER_ENTRIES_MAX // 2
            await trio.sleep(TICK_S if full else 0)

    async def _shed(self) -> None:
        while True:
            await self._look()

    async def _look(self) -> None:
        """Make the share smaller if it was more than could be carried."""
        before = self._tap.counts.dropped
        await trio.sleep(SHED_S)
        if self._tap.counts.dropped > before:
            self._tap.shrink()
            left = list(self._tap.sessions)
            while left:
                for session in left[-SLICE:]:
                    self._tap.let_go(session)
                del left[-SLICE:]
                await trio.lowlevel.checkpoint()
            self._log.note("tee_sheds", share=self._tap.share)

    async def _tick(self, socket: Socket) -> None:
        await trio.sleep(TICK_S)
        began = time.perf_counter()
        self.flush(socket, began + WORK_S_MAX)
        if began >= self._beat_at and socket.send_nowait(records.BEAT):
            self._beat_at = began + REPORT_S
        self._tap.counts.work_seconds += time.perf_counter() - began

    def flush(self, socket: Socket, until: float) -> None:
        """Send what is there, or what there is time for."""
        while True:
            if self._batch is None:
                self._batch = self._pack(until)
            if self._batch is None:
                return
            if not socket.send_nowait(self._batch):
                self._tap.counts.stalled += 1
                return
            self._tap.counts.batches += 1
            self._tap.counts.bytes += len(self._batch)
            self._batch = None
            if time.perf_counter() >= until:
                return

    def _pack(self, until: float) -> bytes | None:
        """One message of what is in the buffer; None: nothing is."""
        parts = [records.RECORDS]
        size = 1
        while size < BATCH_BYTES_MAX and (entry := self._tap.take()) is not None:
            teed, data = entry
            self._tap.counts.taken += 1
            if data is OPENED:
                teed.joined.clear()
                record = records.opened(teed.number, teed.user, teed.stream)
            elif data == CLOSED:
                record = records.closed(teed.number)
            else:
                try:
                    frames = self.stripper.strip(data, teed.joined)
                except WireError:
                    self._tap.counts.malformed += 1
                    continue
                if not frames:
                    continue
                record = records.said(teed.number, frames)
            parts.append(record)
            size += len(record)
            if time.perf_counter() >= until:
                break
        return b"".join(parts) if size > 1 else None

    # ---- back ------------------------------------------------------------------------------------

    async def _listen(self, socket: Socket) -> None:
        while True:
            self._heard(await socket.receive(1))

    def _heard(self, received: list[list[zmq.Frame]]) -> None:
        """The last report counts. One that can't be read is worth none."""
        for frames in received:
            try:
                self.report = _REPORTS.decode(frames[0].bytes)
            except msgspec.DecodeError:
                self._log.warn("tee_report_unreadable")

    # ---- for commands ----------------------------------------------------------------------------

    def figures(self) -> dict[str, Any]:
        """The live node's, since this connection began."""
        return {
            "sessions": len(self._tap.sessions),
            "dropped": self._tap.counts.dropped,
            **figures.since(self.mark, self._running),
            **figures.by_name("in", self.stripper.said),
            **figures.by_name("out", self._tap.told),
            **{f"errors.{name}": count for name, count in sorted(self._tap.errors.items())},
        }
