"""The core, driven: commits, timers, connections. The only place where the core meets the world.

Three kinds of task. One keeps house: it takes what the core has ready, commits it in a worker thread, then lets
frames and events out; whatever comes meanwhile is taken with the next commit, so that commits grow with the load.
One connects, reads, and reconnects. One writes, for as long as a connection lasts. SQLite runs in a worker thread:
the hop costs 0.1 ms, but an fsync on a phone's flash costs 5 to 50, and the app's loop must not stand still for it.
This module must never know what a frame or a row means.
"""

import enum
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from random import Random
from time import time
from typing import TypeVar

import anyio
import anyio.lowlevel
from anyio.to_thread import run_sync

from client.core import Core
from client.effects import Ready
from client.errors import ClientClosed, ClientError, NoConnection, ServerNotTrusted, login_refused
from client.events import Close, Event, Moved, Online, Stopped
from client.link import Link, open_link
from client.moving import Moving
from client.records import StoredMessage, Write
from client.returning import Returning
from client.settings import Settings
from client.signals import Flag, Notice
from client.state import State
from client.trust import Fingerprint, FirstUse, Plain, Server, Trust
from node.wire import verbs
from node.wire.errors import WireError

T = TypeVar("T")

_HOUR = 3_600.0
LAST_WORDS = 1.0
"""Seconds for what the server said before a write to it failed."""

GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What a stream raises when its connection is no more."""


class Status(enum.Enum):
    """STOPPED: nothing is tried any more; `problem` says why. IDLE: nothing to connect for, not registered."""

    IDLE = "not registered"
    WAITING = "waiting to reconnect"
    CONNECTING = "connecting"
    ONLINE = "connected"
    STOPPED = "stopped"


class Driver:
    """tell: called with each event, after the writes it rests on are on disk."""

    def __init__(
        self,
        state: State,
        server: Server,
        trust: Trust,
        settings: Settings,
        random: Random,
        tell: Callable[[Event], None],
    ) -> None:
        self.state, self.server, self.trust, self.settings = state, server, trust, settings
        self.core = Core(state.load(), settings, random)
        self.status = Status.IDLE
        self.problem: ClientError | None = None
        self.changed = Notice()
        """Given when status or problem change."""
        self.fingerprint: bytes | None = None
        self.first_use = False
        """This process saw the server's certificate for the first time, and trusted it."""
        self.connections = self.commits = self.rows = 0
        self._tell = tell
        self._returning = Returning(settings, random)
        self._spreads = False  # the wait that goes on is one of those
        self.moving = Moving(server, settings, random)
        self._thread = anyio.CapacityLimiter(1)
        self._link: Link | None = None
        self._work, self._hurry = Flag(), Flag()
        self._progress = Notice()
        self._asked = self._durable = 0
        self._uncommitted: list[Write] = []
        self._refused: ClientError | None = None
        self._let_in = self._cut = False  # by this connection; it was cut off
        self._closing = self._closed = self._failed = False

    # ---- for the client ------------------------------------------------------------------------------

    def now(self) -> float:
        """The core's clock."""
        return anyio.current_time()

    def wake(self) -> None:
        """The core was told something."""
        self._work.raise_()

    async def durable(self) -> None:
        """Until everything that the core was told so far is on disk."""
        self._asked += 1
        mine = self._asked
        self.wake()
        while self._durable < mine:
            self.check_open()
            await self._progress.wait()

    def check_open(self) -> None:
        """Raises ClientClosed once the client was closed or has failed."""
        if self._closed:
            raise ClientClosed("the client is closed")

    def check_refusal(self) -> None:
        """Raises why nothing is tried any more, if so."""
        if self.refusal is not None:
            raise self.refusal

    @property
    def frames_waiting(self) -> int:
        """Frames that the connection hasn't taken yet."""
        return 0 if self._link is None else self._link.waiting

    def hurry(self) -> None:
        """Connect now if there is something to connect for: don't wait, and forget that the server wasn't trusted."""
        self._refused = None
        self._hurry.raise_()
        self.wake()

    def wanted(self) -> None:
        """The app is in use: a wait that is only for the sake of others is over."""
        if self._spreads:
            self._hurry.raise_()

    async def read_inbox(self, after: int, limit: int) -> list[StoredMessage]:
        """A page of the state."""
        return await self._in_thread(partial(self.state.inbox, after, limit))

    @property
    def refusal(self) -> ClientError | None:
        """Why nothing is tried any more."""
        if self._refused is not None:
            return self._refused
        stopped = self.core.login.stopped
        return None if stopped is None else login_refused(stopped)

    # ---- tasks ---------------------------------------------------------------------------------------

    async def keep_house(self) -> None:
        """Commit, send, tell; for ever.

        Raises:
            StateError: the disk or the file failed; the core is ahead of the disk and must not be used any more.
        """
        while True:
            await self._house_step()

    async def keep_connected(self) -> None:
        """Connect whenever there is something to connect for; until `close`."""
        while not self._closing:
            await self._connect_step()

    async def keep_young(self) -> None:
        """Give up what has been unaccepted for too long, also without a connection; for ever."""
        while True:
            await anyio.sleep(_HOUR)
            self.core.give_up(time())
            self.wake()

    async def close(self) -> None:
        """Commit what could wait, write what is said, say goodbye. While the tasks still run; bounded in time."""
        self._closing = True
        with anyio.move_on_after(self.settings.close_timeout):
            await self.durable()
            if self._link is not None:
                self._link.say([(verbs.BYE, 0, 0)])
                self._link.end()
            while self._link is not None:
                await self.changed.wait()

    def shut(self) -> None:
        """From now on every caller gets ClientClosed. After the tasks have ended, however they did."""
        self._closed = True
        self._progress.give()
        self.changed.give()

    def flush(self) -> None:
        """Commit what is left, here and now: after a cancellation there is no waiting for a thread.

        Raises:
            StateError: what is lost would only have spared repeats on the wire.
        """
        writes = self._uncommitted + self.core.ready(self.now(), flush=True).writes
        if writes and not self._failed:
            self.state.commit(writes)

    # ---- keeping house -------------------------------------------------------------------------------

    async def _house_step(self) -> None:
        asked, now = self._asked, self.now()
        self.core.advance(now)
        ready = self.core.ready(now, flush=self._closing)
        if ready or self._durable < asked:
            await self._carry_out(ready, asked)
            return
        if self._link is not None and self.moving.is_due(now):
            self._link.hang_up("")
        deadline = self._deadline(now)
        with anyio.move_on_after(None if deadline is None else max(0.0, deadline - now)):
            await self._work.wait()

    def _deadline(self, now: float) -> float | None:
        """When there is something to do."""
        due = [self.core.deadline()]
        if self._link is not None and not self.moving.is_due(now):
            due.append(self.moving.deadline)
        return min((one for one in due if one is not None), default=None)

    async def _carry_out(self, ready: Ready, asked: int) -> None:
        link = self._link
        if ready.writes:
            self._uncommitted = ready.writes
            try:
                await self._in_thread(partial(self.state.commit, ready.writes))
            except ClientError:
                self._failed = True
                raise
            self._uncommitted = []
            self.commits += 1
            self.rows += len(ready.writes)
        else:
            await anyio.lowlevel.checkpoint()
        if link is not None:  # if it is gone meanwhile, so are its frames: the core makes others for the next
            link.say(ready.frames)
        for event in ready.events:
            self._react(link, event)
            self._tell(event)
        self._durable = asked
        self._progress.give()

    def _react(self, link: Link | None, event: Event) -> None:
        if isinstance(event, Close):
            if link is not None:
                link.hang_up(event.why, event.retry)
        elif isinstance(event, Online):
            self._returning.online(self.now())
            self._let_in = True
            self._set(Status.ONLINE, None)
        elif isinstance(event, Moved):
            if link is not None and self.moving.advise(self.now(), event.host, event.port):
                self.wake()
        elif isinstance(event, Stopped):
            self._set(Status.STOPPED, self.refusal)

    # ---- connecting ----------------------------------------------------------------------------------

    async def _connect_step(self) -> None:
        if self._refused is not None or not self.core.login.wants_connection:
            refusal = self.refusal
            self._set(Status.IDLE if refusal is None else Status.STOPPED, refusal or self.problem)
            await self._hurry.wait()
            return
        self._hurry.lower()
        self._set(Status.CONNECTING, self.problem)
        asked = 0.0
        self._let_in = self._cut = False
        server = self.moving.choose(self.now())
        try:
            asked = await self._connect(server)
        except NoConnection as error:
            self.problem = error
        except ServerNotTrusted as error:
            self.problem = NoConnection(f"{server}: {error}")
            if not self.moving.is_away():  # otherwise it was a node's advice, and home is trusted
                self._refused = error
                self._tell(Stopped(0))
                return
        if not self._let_in:
            self.moving.failed(self.now())
        self._returning.ended(self.now(), cut=self._cut)
        moves = self.moving.is_due(self.now())
        if self.core.login.wants_connection and not (self._closing or moves):
            self._set(Status.WAITING, self.problem)
            wait = self._returning.wait(asked)
            self._spreads = self._returning.spreads
            with anyio.move_on_after(wait):
                await self._hurry.wait()
            self._spreads = False

    async def _connect(self, server: Server) -> float:
        """One connection from start to end; returns for how long the server wants to be left alone."""
        known = None
        if isinstance(self.trust, FirstUse | Fingerprint):
            known = await self._in_thread(partial(self.state.fingerprint, str(server)))
        link = await open_link(server, self.trust, known, self.settings)
        try:
            if isinstance(self.trust, FirstUse | Fingerprint) and known != link.fingerprint:
                await self._in_thread(partial(self.state.trust, str(server), link.fingerprint))
                self.first_use = isinstance(self.trust, FirstUse)
            if not isinstance(self.trust, Plain):
                self.fingerprint = link.fingerprint
            self.connections += 1
            self._link = link
            self.core.give_up(time())
            self.core.connect(self.now(), link.fingerprint)
            self.wake()
            await self._converse(link)
        finally:
            if self._link is link:
                self._link = None
                self.core.disconnect()
            self.wake()
            self.changed.give()
            await link.close()
        self._cut = link.cut
        why = link.ended_because
        self.problem = NoConnection(f"{server}: {why}") if why else None
        return link.retry

    async def _converse(self, link: Link) -> None:
        """Read and write until the connection ends."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._write, link)
            group.start_soon(self._read, link)
            await link.hung_up.wait()
            group.cancel_scope.cancel()

    async def _read(self, link: Link) -> None:
        try:
            while True:
                frames = await link.read()
                now = self.now()
                for frame in frames:
                    self.core.receive(now, frame)
                self.wake()
                while self.core.pending + link.waiting > self.settings.frames_waiting_max:
                    await self._progress.wait()
        except WireError as error:
            link.hang_up(f"the server broke the protocol: {error}")
        except GONE as error:
            with suppress(ClientClosed):
                await self.durable()  # a goodbye comes together with the end, and its time counts
            link.hang_up(_why(error), cut=True)

    async def _write(self, link: Link) -> None:
        try:
            await link.write_loop(self._progress.give)
            link.hang_up("closed")
        except GONE as error:
            with anyio.move_on_after(LAST_WORDS):
                await link.hung_up.wait()  # by whoever reads what was said last
            link.hang_up(_why(error), cut=True)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        return await run_sync(function, limiter=self._thread)

    def _set(self, status: Status, problem: ClientError | None) -> None:
        if (status, problem) != (self.status, self.problem):
            self.status, self.problem = status, problem
            self.changed.give()


def _why(error: Exception) -> str:
    return str(error) or "the connection was lost"
