"""The hub: all phones of a node in one epoll set that one Trio task waits on.

A connection is a plain object, not a task (5 KB and 44 µs a frame with a task each, against 0.3 KB and 12 µs
this way). A *pass* takes one bounded batch of ready descriptors: it reads, lets the handler run to the end,
synchronously, and writes what was queued, once for each connection. A *turn* is a few passes in a row; after
it, or when nothing is ready, the other Trio tasks have the thread.

The hub knows nothing of the protocol or of mail.
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic

import trio

from node.hub.admission import Admission
from node.hub.closing import Closer
from node.hub.connection import CLOSING, HANDSHAKE, Connection
from node.hub.counters import Counters, HubStatistics
from node.hub.errors import DescriptorsTooFew, HubFull, HubStopped
from node.hub.failures import FailureLog
from node.hub.handler import C, Handler
from node.hub.handshake import Handshakes
from node.hub.invariants import check_parts
from node.hub.listener import Acceptor, Listener
from node.hub.looking import Looker
from node.hub.memory import descriptors_max, give_back_memory
from node.hub.pollset import IN, ONESHOT, PollSet
from node.hub.reading import Reader
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.stopping import Stopping
from node.hub.watch import Waker, Watch
from node.hub.wheel import Wheel
from node.hub.writing import Writer

HELD_UP_S = 5.0  # a hub that was held up for longer doesn't blame its peers for the silence
CONNECTIONS_LEAST = 16  # that the descriptors must leave room for; a hub for fewer is a mistake of its set-up


class Hub(Generic[C]):
    """Owns the poll set, and runs the passes.

    `asleep`, `dirty`, `wheel`, `closer` and `settings` are for `Connection`; `connections_max` is what the settings
    ask for, or less where the descriptors allow less; `rescue` says whether a pass that failed may be passed over;
    `write_out` writes what another task has queued in a pass of its own; `stopped` is set when there is no other pass.

    Raises:
        DescriptorsTooFew: they allow next to no connection.
    """

    def __init__(
        self,
        settings: HubSettings,
        handler: Handler[C],
        clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:
        allowed = descriptors_max()
        room = allowed - settings.descriptors_reserved
        if room < CONNECTIONS_LEAST:
            raise DescriptorsTooFew(allowed, settings.descriptors_reserved, CONNECTIONS_LEAST)
        self.settings = settings
        self.handler = handler
        self.counters = Counters()
        self.wheel = Wheel()
        self._clock = clock
        self._pollset = PollSet()
        self.connections_max = min(settings.connections_max, room)
        self._admission = Admission(settings, self.connections_max)
        self.closer = Closer(settings, self._pollset, self.wheel, self._admission, self.counters)
        self._writer = Writer(settings, self._pollset, self.wheel, self.closer, self.counters)
        self.dirty, self.write_out = self._writer.dirty, self._writer.flush
        self._handshakes = Handshakes(settings, self._pollset, self.closer, self.counters, self._established)
        self._acceptor = Acceptor(
            settings,
            self._pollset,
            self.wheel,
            self._admission,
            self.counters,
            handler.refusal,
            self._take,
        )
        self._reader = Reader(
            settings,
            handler,
            self._pollset,
            self.wheel,
            self._writer,
            self.closer,
            self._handshakes,
            self.counters,
            self.failed,
            clock,
        )
        self._looker = Looker(handler, self._pollset, self.wheel, self.closer, self.counters, self.failed)
        self._stopping: Stopping[C] = Stopping(
            handler, self._pollset, self._acceptor, self.closer, self.failed, chance or random.Random()
        )
        self._failures = FailureLog()
        self._waker = Waker()
        self._pollset.add(self._waker, IN)
        self.asleep = False
        self._soon: deque[Callable[[], None]] = deque()
        self._next_tick_at = clock() + 1.0
        self._polled_at = clock()
        self._busy = False
        self.stopped = trio.Event()
        self._closed = False
        self.rescue: Callable[[Exception], bool] | None = None

    # ---- for the composition root ----------------------------------------------------------------

    def listen(self, settings: ListenerSettings, listening: socket.socket | None = None) -> Listener:
        """Accept connections from now on.

        Args:
            listening: an already listening, non-blocking socket to use instead of opening one.

        Raises:
            OSError: the address can't be listened on.
        """
        return self._acceptor.open(settings, listening)

    def watch(self, fd: int, callback: Callable[[], None]) -> Watch:
        """Call `callback` in every pass in which `fd` is readable, until `unwatch`; it must read what is there. What it
        raises ends the hub."""
        watch = Watch(fd, callback)
        self._pollset.add(watch, IN)
        return watch

    def unwatch(self, watch: Watch) -> None:
        self._pollset.remove(watch)

    def soon(self, function: Callable[[], None]) -> None:
        """Call `function` in the next pass, which this brings about. Any thread may call this.

        Raises:
            HubFull: `soon_max` functions wait already.
        """
        if len(self._soon) >= self.settings.soon_max:
            raise HubFull(self.settings.soon_max)
        self._bring(function)

    def _bring(self, function: Callable[[], None]) -> None:
        self._soon.append(function)
        if self.asleep:
            self.wake()

    def wake(self) -> None:
        """End the hub's sleep. Any thread may call this."""
        self.asleep = False
        self._waker.ring()

    def connections(self) -> Iterator[C]:
        """Every connection the handler has been told of and not lost yet."""
        for entry in self._pollset.entries:
            if isinstance(entry, Connection) and not entry.flags & (HANDSHAKE | CLOSING):
                yield entry  # type: ignore[misc]

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` is done. Cancelled, it closes every connection without a word.

        Raises:
            Whatever the handler's pass methods, a watch or a function given to `soon` raise.
        """
        if self._closed:
            raise HubStopped
        try:
            task_status.started()
            while not self.stopped.is_set():
                await self.step()
        finally:
            self.close()

    async def stop(self, grace: float) -> None:
        """Refuse newcomers, say bye to everyone with a jittered retry time, and close.

        Returns when all are gone; those who aren't after `grace` seconds are cut off. Cancelled, it leaves
        the hub as it is then: stopping, with nobody to cut off the slow ones.
        """
        self._bring(self._stopping.begin)
        with trio.move_on_after(grace):
            await self.stopped.wait()
            return
        self._bring(self._stopping.cut_off)
        await self.stopped.wait()

    def close(self) -> None:
        """Close every descriptor at once. For the end of `run`, and for tests that drive `turn`."""
        if self._closed:
            return
        self._closed = True
        self.stopped.set()
        self._acceptor.close()
        self._stopping.cut_off("stopped")
        while self.closer.pending:
            self._announce()
        self.closer.finish()
        self._waker.close()
        self._pollset.close()

    # ---- waiting ---------------------------------------------------------------------------------

    async def step(self) -> None:
        """Wait for something to do, then one turn."""
        if self._busy:
            await trio.lowlevel.checkpoint()
        else:
            await self._sleep()
        self.turn()

    async def _sleep(self) -> None:
        self.asleep = True  # from here on whoever brings work rings the waker
        try:
            now = self._clock()
            if self._has_work(now):
                await trio.lowlevel.checkpoint()
                return
            until = self._next_tick_at
            for wake_at in (self.handler.wake_at(), self._acceptor.resumes_at, self._handshakes.wake_at()):
                if wake_at is not None and wake_at < until:
                    until = wake_at
            with trio.move_on_after(until - now):
                await trio.lowlevel.wait_readable(self._pollset.epoll.fileno())
        finally:
            self.asleep = False
            self._polled_at = self._clock()

    def _has_work(self, now: float) -> bool:
        """Whether a pass has something to do although no descriptor is ready."""
        if (
            self._soon
            or self.dirty
            or self._handshakes.has_work(now)
            or self.closer.has_work
            or self.wheel.has_due
            or self._stopping.leaving
            or now >= self._next_tick_at
            or ((resumes_at := self._acceptor.resumes_at) is not None and now >= resumes_at)
        ):
            return True
        wake_at = self.handler.wake_at()
        return wake_at is not None and wake_at <= self._clock()  # read after: "at once" may mean its own now

    # ---- passes ----------------------------------------------------------------------------------

    def turn(self) -> None:
        """Passes while there is something to do, for at most `turn_ms_max`."""
        clock = self._clock
        poll = self._pollset.epoll.poll
        events_max = self.settings.events_per_pass_max
        counters = self.counters
        counters.turns += 1
        turn_ends = clock() + self.settings.turn_ms_max / 1000
        while True:
            events = poll(0, events_max)
            now = clock()
            if not events and not self._has_work(now):
                self._busy = False
                return
            counters.lag_us.record(int((now - self._polled_at) * 1e6))
            counters.batches.record(len(events))
            self._polled_at = now
            try:
                self._pass(events, now)
            except Exception as error:
                if self.rescue is None or not self.rescue(error):
                    raise
            if clock() >= turn_ends or self.stopped.is_set():
                self._busy = True
                return

    def _pass(self, events: list[tuple[int, int]], now: float) -> None:
        """One batch: input, what is due, the handler's summing up, output, and the ends of connections."""
        handler = self.handler
        handler.begin_pass()
        counters = self.counters
        counters.passes += 1
        counters.events += len(events)
        self._acceptor.begin_pass(now)
        if self._soon:
            for _ in range(len(self._soon)):
                counters.soon_called += 1
                self._soon.popleft()()
        if events:
            self._reader.receive(events, now + self.settings.turn_ms_max / 1000)
        if self._handshakes.waiting:
            self._handshakes.advance(now)
            if self._handshakes.is_full:
                self._acceptor.hold()
        if now >= self._next_tick_at:
            self._tick(now)
        if self.wheel.has_due:
            self._looker.look(self.settings)
        stopping = self._stopping
        if stopping.leaving:
            stopping.say_bye(self.settings)
        if self.closer.pending:
            self._announce()
        handler.end_pass()
        while self.closer.pending:
            self._announce()
        if self.dirty:
            self._writer.flush()
        if self.closer.has_work:
            self.closer.finish()
        if stopping.leaving is not None and not stopping.leaving and not counters.connections:
            self.stopped.set()

    # ---- connections -----------------------------------------------------------------------------

    def _take(self, fd: int, address: str, listener: Listener) -> None:
        """A connection was accepted."""
        try:
            connection = self.handler.make(fd, address, listener)
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this connection only
            self.counters.failures += 1
            self._failures.log(error, "make", self.wheel.tick)
            os.close(fd)
            return
        connection.hub = self
        connection.tick = self.wheel.tick
        encrypted = listener.settings.tls is not None
        try:
            self._pollset.add(connection, IN | ONESHOT if encrypted else IN)
        except OSError:
            self.counters.accept_errors += 1
            os.close(fd)
            return
        connection.address = self._admission.enter(address)
        self.counters.accepted += 1
        self.counters.connections += 1
        if encrypted:
            connection.tls = listener
            connection.flags |= HANDSHAKE
            self.counters.handshaking += 1
            self.wheel.place(connection, self.settings.handshake_s_max)
        else:
            self._established(connection)

    def _established(self, connection: Connection) -> None:
        connection.tick = self.wheel.tick
        connection.expect(self.settings.first_look_s, strict=True)
        if connection.outbox is not None:  # written before the handshake was done
            self.dirty.append(connection)
        try:
            self.handler.opened(connection)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this connection only
            self.failed(connection, error)

    def failed(self, connection: Connection, error: Exception) -> None:
        """The handler failed while it dealt with this connection."""
        self.counters.failures += 1
        self._failures.log(error, "connection", self.wheel.tick)
        linger = True
        try:
            self.handler.failed(connection, error)  # type: ignore[arg-type]
        except Exception as second:  # noqa: BLE001
            self._failures.log(second, "failed", self.wheel.tick)
            linger = False
        self.closer.close(connection, "failed", linger)

    def _announce(self) -> None:
        """Tell the handler whose end has come."""
        for connection, reason in self.closer.take_pending():
            if not connection.flags & HANDSHAKE:
                try:
                    self.handler.closed(connection, reason)  # type: ignore[arg-type]
                except Exception as error:  # noqa: BLE001 - the others want to be told too
                    self.counters.failures += 1
                    self._failures.log(error, "closed", self.wheel.tick)

    # ---- time ------------------------------------------------------------------------------------

    def _tick(self, now: float) -> None:
        """A second is over."""
        self._next_tick_at += 1.0
        if now - self._next_tick_at > HELD_UP_S:
            self.counters.held_up += 1
            self._next_tick_at = now + 1.0
        self.wheel.advance()
        self._acceptor.tick()
        for connection in self._writer.stalled():
            self.closer.lose(connection, "stalled")
        if self.closer.trim_due():
            self.counters.trims += 1
            give_back_memory()

    def statistics(self) -> HubStatistics:
        """A picture of the moment; cheap enough for once a second."""
        return self.counters.picture(
            handshakes_waiting=self._handshakes.waiting,
            blocked_writers=len(self.closer.blocked),
            soon_waiting=len(self._soon),
        )

    def check(self) -> None:
        """Invariants between two turns, for tests."""
        check_parts(self._pollset, self._admission, self.closer, self.counters)
