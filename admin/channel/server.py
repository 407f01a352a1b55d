"""The channel on the node's side: who connects is asked for a key, requests are taken at a bounded rate, answered.

Nobody without a key that is on the list reaches this module: ZeroMQ's handshake (CURVE) and the gatekeeper end such a
connection before. What a known key sends is counted, limited and read with suspicion. The socket and the commands it
brings run beside the hub: the hub has its turns whatever is sent here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import structlog
import trio
import zmq

from admin.channel import messages
from admin.channel.audit import Audit
from admin.channel.desk import INTERNAL, Desk, Result, Tell
from admin.channel.errors import PlaceUnusable
from admin.channel.folder import Folder, ensure_folder
from admin.channel.keyring import Asker, Keyring
from admin.channel.place import Endpoint, Place
from admin.channel.settings import (
    ANSWER_TRIES_MAX,
    ANSWER_WAIT_S,
    ANSWERS_QUEUED_MAX,
    COMMANDS_MAX,
    COMMANDS_PER_KEY_MAX,
    KEYS_LOOK_S,
    MESSAGE_BYTES_MAX,
    PAUSE_S,
    READ_MESSAGES,
    REQUEST_BYTES_MAX,
    AdminSettings,
)
from admin.commands.table import Command, Context
from node.hub.bucket import Bucket
from replication.rounds import rescued
from replication.zeromq.adapter import Frames, Socket
from replication.zeromq.address import Address, resolve
from replication.zeromq.boundedlog import BoundedLog
from replication.zeromq.errors import LinkError
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import FAILED_HANDSHAKES, Sockets, end_monitor, event_of
from replication.zeromq.zap import USER_ID, Authorised, Gatekeeper
from store.errors import StoreFatal

log = structlog.get_logger()

READ_BYTES: Final = READ_MESSAGES * MESSAGE_BYTES_MAX


@attrs.define
class _Running:
    """A command that runs."""

    asker: Asker
    scope: trio.CancelScope


class AdminServer:
    """The channel of one node.

    Args:
        data: the node's data directory; the channel's files are made in it.
        commands: the table.
        context: what a command may use, for somebody who asks.
        wall: seconds since 1970, for the audit.

    Raises:
        KeyFileExposed, KeyFileDamaged, KeysDamaged, KeysExposed, PlaceUnusable
        OSError: the files can't be read or made.
    """

    def __init__(
        self,
        settings: AdminSettings,
        data: Path,
        commands: tuple[Command, ...],
        context: Callable[[Asker, Tell], Context],
        wall: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._folder = Folder.of(data)
        self._place = Place.parse(settings.listen) if settings.listen else Place(path=self._folder.socket)
        keys = ensure_folder(self._folder)
        self.key: Final = keys.public
        self._keyring = Keyring(self._folder.authorised)
        self._authorised = Authorised(self._keyring.by_key)
        self._audit = Audit(self._folder.path, settings.audit_bytes_max, wall)
        self._desk = Desk(commands, context, self._audit)
        self._sockets = Sockets(keys, LinkSettings())
        self._log = BoundedLog()
        self._buckets: dict[str, Bucket] = {}
        self._running: dict[tuple[bytes, int], _Running] = {}
        self._counts: Counter[str] = Counter()
        self._socket: Socket | None = None
        self._nursery: trio.Nursery | None = None

    def statistics(self) -> dict[str, Any]:
        """Requests by what came of them, and who was kept out."""
        return {
            "keys": len(self._keyring.by_key),
            "keys_not_read": self._keyring.unread,
            "connections_admitted": self._authorised.admitted,
            "connections_refused": self._authorised.refused,
            "handshakes_failed": self._counts["handshakes_failed"],
            "requests": self._counts["requests"],
            "refused": {
                name: self._counts[name]
                for name in ("malformed", "oversize", "revoked", "rate", "busy", "twice")
            },
            "commands": dict(self._desk.counts),
            "failures": self._counts["failures"],
            "running": len(self._running),
            "lines_dropped": self._counts["lines_dropped"],
            "answers_dropped": self._counts["answers_dropped"],
            "audit_written": self._audit.written,
            "audit_lost": self._audit.lost,
        }

    @property
    def faults(self) -> int:
        """Bugs, in commands and in the channel itself."""
        return self._desk.counts["crashed"] + self._counts["failures"]

    # ---- running ---------------------------------------------------------------------------------

    async def run(self, task_status: trio.TaskStatus[Place] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; started with the place where it listens.

        Raises:
            PlaceUnusable
            StoreFatal: the node must end.
        """
        gatekeeper = Gatekeeper(self._sockets.start(), self._authorised, self._log)
        endpoint = Endpoint(self._place)
        raw: zmq.Socket[bytes] | None = None
        try:
            gatekeeper.start()
            raw = self._sockets.router()
            bound = await self._bind(raw, endpoint.address)
            monitor = self._sockets.monitor(raw, FAILED_HANDSHAKES)
            try:
                self._socket = Socket(raw)
                async with trio.open_nursery() as nursery:
                    self._nursery = nursery
                    nursery.start_soon(gatekeeper.run)
                    nursery.start_soon(self._go_on, partial(self._watch, monitor), name=self._watch)
                    nursery.start_soon(self._go_on, self._look_at_keys, name=self._look_at_keys)
                    nursery.start_soon(self._go_on, self._step, name=self._step)
                    task_status.started(bound)
            finally:
                end_monitor(raw, monitor)
        finally:
            if self._socket is not None:
                self._socket.close()
            gatekeeper.stop()
            self._sockets.end()
            self._clear()
            endpoint.close()

    async def _bind(self, raw: zmq.Socket[bytes], address: Address) -> Place:
        raw.setsockopt(zmq.MAXMSGSIZE, MESSAGE_BYTES_MAX)
        raw.setsockopt(zmq.SNDHWM, ANSWERS_QUEUED_MAX)
        raw.setsockopt(zmq.RCVHWM, READ_MESSAGES)
        raw.setsockopt(zmq.ROUTER_MANDATORY, 1)
        try:
            numeric = await resolve(address)
            raw.setsockopt(zmq.IPV6, int(numeric.is_ipv6))
            raw.bind(numeric.endpoint())
        except (zmq.ZMQError, LinkError) as error:
            why = (
                "something else listens there" if getattr(error, "errno", 0) == zmq.EADDRINUSE else str(error)
            )
            raise PlaceUnusable(f"{self._place} can't be listened on: {why}") from None
        bound = self._place
        if bound.path is not None:
            bound.path.chmod(0o600)
        else:
            endpoint = bytes(raw.getsockopt(zmq.LAST_ENDPOINT)).decode("ascii")
            bound = Place.parse(endpoint.removeprefix("tcp://").rstrip("\0"))
        self._folder.address.write_text(f"{bound}\n", "utf-8")
        return bound

    def _clear(self) -> None:
        """What would make a client wait for a node that has ended. A killed node leaves it; the next one takes it."""
        self._folder.address.unlink(missing_ok=True)
        if self._place.path is not None:
            self._place.path.unlink(missing_ok=True)

    async def _watch(self, monitor: Socket) -> None:
        """Count those that never got as far as to prove a key."""
        self._count(await monitor.receive())

    def _count(self, events: Sequence[Frames]) -> None:
        for frames in events:
            if event_of(frames[0].bytes) & FAILED_HANDSHAKES:
                self._counts["handshakes_failed"] += 1
                self._log.warn("admin_handshake_failed")

    async def _look_at_keys(self) -> None:
        await trio.sleep(KEYS_LOOK_S)
        self._refresh()

    def _refresh(self) -> None:
        """Who was taken off the list is not heard from now on, and what he had begun ends."""
        if not self._keyring.refresh():
            return
        by_key = self._keyring.by_key
        self._authorised.keys = frozenset(by_key)
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if key in by_key}
        for running in self._running.values():
            if by_key.get(running.asker.key) != running.asker:
                running.scope.cancel()

    async def _go_on(self, step: Callable[[], Awaitable[None]]) -> None:
        """A step again and again, until cancelled: nothing that is wrong with the channel is worth a node."""
        while True:
            await self._try(step)

    async def _try(self, step: Callable[[], Awaitable[None]]) -> None:
        try:
            await step()
        except Exception as error:  # noqa: BLE001 - see above
            self._failed(error)
            await trio.sleep(PAUSE_S)

    def _failed(self, error: Exception) -> None:
        """A bug, of ours; or of code that is taken back now, if it is watched."""
        self._counts["failures"] += 1
        self._log.warn("admin_channel_failed", cause=type(error).__name__, mended=rescued(error))

    # ---- requests --------------------------------------------------------------------------------

    async def _step(self) -> None:
        assert self._socket is not None
        received = await self._socket.receive(READ_MESSAGES, READ_BYTES)
        refused = sum(not self._taken(frames) for frames in received)
        if refused or len(received) == READ_MESSAGES:
            await trio.sleep(PAUSE_S)  # who sends more than he may is read no faster than this

    def _taken(self, frames: Frames) -> bool:
        """As `_take`. A request that can't be dealt with is its asker's trouble, who waits in vain."""
        try:
            return self._take(frames)
        except Exception as error:  # noqa: BLE001 - whatever it is: no request is worth a node
            self._failed(error)
            return False

    def _take(self, frames: Frames) -> bool:
        """Whether the request is being dealt with."""
        counts = self._counts
        asker = self._sender(frames[0])
        if asker is None:
            counts["revoked"] += 1  # the key was on the list when the connection was made
            return False
        counts["requests"] += 1
        route = frames[0].bytes
        bucket = self._buckets.get(asker.key)
        if bucket is None:
            settings = self._settings
            bucket = self._buckets[asker.key] = Bucket(settings.requests_per_s, settings.requests_burst)
        now = trio.current_time()
        if now < bucket.opens_at:
            return self._refuse(
                "rate", route, messages.NO_ID, "too many requests at once: ask again in a moment"
            )
        bucket.spend(now)
        try:
            if len(frames) != 2:
                raise messages.Malformed("a request is one frame")
            request = messages.read_request(frames[1].bytes)
        except messages.Malformed as error:
            oversize = len(frames[-1]) > REQUEST_BYTES_MAX
            return self._refuse("oversize" if oversize else "malformed", route, messages.NO_ID, str(error))
        running = self._running.get((route, request.id))
        if request.cancel:
            if running is not None:
                running.scope.cancel()
            return True
        if running is not None:
            return self._refuse("twice", route, request.id, "a command with this id runs already")
        of_key = sum(one.asker.key == asker.key for one in self._running.values())
        if len(self._running) >= COMMANDS_MAX or of_key >= COMMANDS_PER_KEY_MAX:
            text = f"{of_key} commands of this key run, of {len(self._running)} in all: wait for one to end"
            return self._refuse("busy", route, request.id, text)
        assert self._nursery is not None
        running = self._running[route, request.id] = _Running(asker, trio.CancelScope())
        self._nursery.start_soon(self._serve, route, request, running)
        return True

    def _sender(self, first: zmq.Frame) -> Asker | None:
        """By the key that the connection has proved, if that is still on the list."""
        try:
            return self._keyring.by_key.get(str(first.get(USER_ID)))
        except zmq.ZMQError:
            return None

    def _refuse(self, why: str, route: bytes, number: int, text: str) -> bool:
        assert self._socket is not None
        self._counts[why] += 1
        self._socket.reply_nowait(route, messages.refusal(number, text))
        return False

    # ---- one command -----------------------------------------------------------------------------

    async def _serve(self, route: bytes, request: messages.Request, running: _Running) -> None:
        try:
            tell = partial(self._tell, route, request.id)
            result = await self._desk.serve(running.asker, request.words, tell, running.scope)
        except StoreFatal:
            raise
        except Exception as error:  # noqa: BLE001 - nor is a command
            self._failed(error)
            result = Result(error=INTERNAL)
        finally:
            del self._running[route, request.id]
        try:
            await self._answer(route, self._encoded(request.id, result))
        except Exception as error:  # noqa: BLE001 - nor is an answer
            self._failed(error)

    def _tell(self, route: bytes, number: int, data: Any) -> None:
        assert self._socket is not None
        encoded = messages.item(number, data)
        if encoded is None or self._socket.closed or not self._socket.reply_nowait(route, encoded):
            self._counts["lines_dropped"] += 1

    def _encoded(self, number: int, result: Result) -> bytes:
        if result.error:
            return messages.refusal(number, result.error, other_node=result.other_node)
        try:
            return messages.done(number, result.data)
        except (TypeError, ValueError, RecursionError) as error:
            log.error("admin_result_not_plain", cause=str(error))
            return messages.refusal(
                number, "the command was done, and its result can't be shown: see the node's log"
            )

    async def _answer(self, route: bytes, encoded: bytes) -> None:
        """Offered for a bounded time: a terminal that is behind takes it soon, one that is gone never."""
        assert self._socket is not None
        for _ in range(ANSWER_TRIES_MAX):
            if self._socket.reply_nowait(route, encoded):
                return
            await trio.sleep(ANSWER_WAIT_S)
        self._counts["answers_dropped"] += 1
