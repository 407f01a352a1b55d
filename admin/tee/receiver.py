"""The test node's side: a socket that live nodes connect to, and guests who say what comes over it.

Nobody without a key on the list is heard (CURVE and the gatekeeper, as the links between nodes). What comes is
played in the hub's passes; what was counted since a tee began is told to it each second. A tee that falls silent has
its guests let go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import attrs
import msgspec
import structlog
import trio
import zmq

from admin.channel.errors import PlaceUnusable
from admin.channel.place import Endpoint, Place
from admin.tee import figures, records
from admin.tee.figures import Mark
from admin.tee.records import Hello, NotRecords
from admin.tee.settings import (
    MESSAGE_BYTES_MAX,
    REPORT_S,
    SILENCE_S_MAX,
    SOURCES_MAX,
    ShadowSettings,
)
from node.hub.errors import HubFull
from node.running import Running
from node.shadow import Stage
from replication.rounds import go_round
from replication.zeromq.adapter import Socket
from replication.zeromq.address import resolve
from replication.zeromq.boundedlog import BoundedLog
from replication.zeromq.errors import LinkError
from replication.zeromq.keys import Keys
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import Sockets
from replication.zeromq.zap import Authorised, Gatekeeper

log = structlog.get_logger()

READ_MESSAGES: Final = 64
READ_BYTES: Final = 1_048_576
LET_GO_AT_ONCE: Final = 500
"""Guests of a silent tee that are let go in one pass."""


@attrs.define
class Source:
    """A live node that tees. before: what had been counted when it began."""

    hello: Hello
    mark: Mark
    heard_at: float
    before: Mapping[str, int]
    open: set[int] = attrs.Factory(set)


class Receiver:
    """Of one test node.

    Raises:
        PlaceUnusable
    """

    def __init__(self, settings: ShadowSettings, keys: Keys, running: Running) -> None:
        self.stage = Stage(running.service, running.hub)
        self.public = keys.public
        self._place = Place.parse(settings.listen)
        self._running = running
        self._sockets = Sockets(keys, LinkSettings())
        self._authorised = Authorised(settings.allow)
        self._log = BoundedLog()
        self._sources: dict[bytes, Source] = {}
        self._counts: Counter[str] = Counter()
        self._socket: Socket | None = None

    async def run(self, task_status: trio.TaskStatus[Place] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled; started with the place.

        Raises:
            PlaceUnusable
        """
        gatekeeper = Gatekeeper(self._sockets.start(), self._authorised, self._log)
        try:
            with Endpoint(self._place) as endpoint:
                gatekeeper.start()
                raw = self._sockets.router()
                raw.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
                raw.setsockopt(zmq.RCVHWM, READ_MESSAGES)
                bound = await self._bind(raw, endpoint)
                self._socket = Socket(raw)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(gatekeeper.run)
                    nursery.start_soon(go_round, self._step, name=self._step)
                    nursery.start_soon(self._report)
                    log.info("shadow", listen=str(bound), key=self.public)
                    task_status.started(bound)
        finally:
            if self._socket is not None:
                self._socket.close()
            gatekeeper.stop()
            self._sockets.end()

    async def _bind(self, raw: zmq.Socket[bytes], endpoint: Endpoint) -> Place:
        try:
            address = await resolve(endpoint.address)
            raw.setsockopt(zmq.IPV6, int(address.is_ipv6))
            raw.bind(address.endpoint())
        except (zmq.ZMQError, LinkError) as error:
            raise PlaceUnusable(f"shadow.listen = {self._place} can't be listened on: {error}") from None
        if self._place.path is not None:
            return self._place
        return Place.parse(
            bytes(raw.getsockopt(zmq.LAST_ENDPOINT)).decode("ascii").removeprefix("tcp://").rstrip("\0")
        )

    # ---- in --------------------------------------------------------------------------------------

    async def _step(self) -> None:
        assert self._socket is not None
        for frames in await self._socket.receive(READ_MESSAGES, READ_BYTES):
            if len(frames) == 2:
                self._take(frames[0].bytes, frames[1].bytes)
            else:
                self._counts["malformed"] += 1

    def _take(self, route: bytes, data: bytes) -> None:
        source = self._sources.get(route)
        if source is not None:
            source.heard_at = trio.current_time()
        kind = data[:1]
        try:
            if kind == records.HELLO:
                self._begin(route, records.read_hello(data))
            elif source is None:
                self._counts["strangers"] += 1
            elif kind == records.RECORDS:
                self._running.hub.soon(partial(self._play, route, source, data))
            elif kind != records.BEAT:
                raise NotRecords("it isn't of this protocol")
        except HubFull:
            self._counts["dropped"] += 1
        except NotRecords as error:
            self._counts["malformed"] += 1
            self._log.warn("tee_malformed", cause=str(error))

    def _begin(self, route: bytes, hello: Hello) -> None:
        if route not in self._sources and len(self._sources) >= SOURCES_MAX:
            self._counts["refused"] += 1
            return
        self._counts["tees"] += 1
        self._sources[route] = Source(hello, Mark.of(self._running), trio.current_time(), self._counted())
        self._log.note("tee_begins", node=hello.node, share=hello.share)

    def _play(self, route: bytes, source: Source, data: bytes) -> None:
        """In the hub's pass."""
        try:
            for kind, session, what in records.read_records(data):
                key = (route, session)
                if kind == records.SAID:
                    self.stage.say(key, what)
                elif kind == records.OPEN:
                    self.stage.open(key, *records.read_who(what))
                    if key in self.stage:
                        source.open.add(session)
                else:
                    source.open.discard(session)
                    self.stage.close(key)
        except NotRecords as error:
            self._counts["malformed"] += 1
            self._log.warn("tee_malformed", cause=str(error))

    # ---- back ------------------------------------------------------------------------------------

    async def _report(self) -> None:
        while True:
            await self._tell()

    async def _tell(self) -> None:
        await trio.sleep(REPORT_S)
        assert self._socket is not None
        for route, source in list(self._sources.items()):
            if trio.current_time() - source.heard_at > SILENCE_S_MAX:
                del self._sources[route]
                await self._let_go(route, source)
            else:
                self._socket.reply_nowait(route, msgspec.json.encode(self._figures(source)))

    async def _let_go(self, route: bytes, source: Source) -> None:
        left = sorted(source.open)
        while left:
            some, left = left[:LET_GO_AT_ONCE], left[LET_GO_AT_ONCE:]
            try:
                self._running.hub.soon(partial(self._close, route, some))
            except HubFull:
                left += some
            await trio.sleep(0.01)

    def _close(self, route: bytes, sessions: list[int]) -> None:
        for session in sessions:
            self.stage.close((route, session))

    def _counted(self) -> dict[str, int]:
        stage = self.stage
        return {
            **figures.by_name("in", stage.heard),
            **figures.by_name("out", stage.told),
            **{f"errors.{name}": count for name, count in stage.errors.items()},
            **{f"ends.{name}": count for name, count in stage.ends.items()},
            "failures": stage.failures,
        }

    def _figures(self, source: Source) -> dict[str, Any]:
        """Since this tee began; with several at one time, of all of them."""
        since = figures.since(source.mark, self._running)
        now = {name: count - source.before.get(name, 0) for name, count in self._counted().items()}
        now["failures"] += since["failures"]
        return {"sessions": len(source.open), **since, **now}

    def statistics(self) -> dict[str, Any]:
        """Tees and guests, since the start."""
        return {
            "tees": len(self._sources),
            "begun": self._counts["tees"],
            "connections_refused": self._authorised.refused,
            "dropped": self._counts["dropped"],
            "malformed": self._counts["malformed"],
            "strangers": self._counts["strangers"],
            "refused": self._counts["refused"],
            "stage": self.stage.statistics(),
        }
