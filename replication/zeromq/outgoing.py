"""The sending half of links: connect, greet, send, notice the end, try again.

One task keeps one link. Each attempt is a socket of its own, so nothing of an old connection can turn up on a new one.
It must never look into messages.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import trio
import zmq

from replication.rounds import rescued
from replication.unknown import Unknown
from replication.zeromq import words
from replication.zeromq.adapter import Frames, Socket
from replication.zeromq.address import Address, resolve
from replication.zeromq.boundedlog import BoundedLog
from replication.zeromq.errors import AddressUnusable
from replication.zeromq.knocking import DISCONNECTED
from replication.zeromq.link import EXPELLED, NOT_ADMITTED, STRANGE, Link
from replication.zeromq.lookout import Lookout
from replication.zeromq.receiver import Receiver
from replication.zeromq.settings import FLUSH_BATCHES, LinkSettings
from replication.zeromq.sockets import ENDS, FAILED_HANDSHAKES, Sockets, end_monitor, event_of, value_of
from replication.zeromq.versions import Versions
from replication.zeromq.zap import GONE

_IN: Final = int(zmq.POLLIN)
_OUT: Final = int(zmq.POLLOUT)
_AUTH_FAILED: Final = int(zmq.EVENT_HANDSHAKE_FAILED_AUTH)
REASON_CHARACTERS_MAX: Final = 400


class Dialer:
    """Keeps links up. `offer` gives the words that tell what is open here; `turned` is told of a control link that came
    up or went down."""

    __slots__ = (
        "_chance",
        "_instance",
        "_log",
        "_lookout",
        "_offer",
        "_receiver",
        "_settings",
        "_sockets",
        "_turned",
        "_unknown",
        "_versions",
    )

    def __init__(
        self,
        sockets: Sockets,
        settings: LinkSettings,
        instance: bytes,
        receiver: Receiver,
        log: BoundedLog,
        offer: Callable[[], bytes],
        turned: Callable[[Link], None],
        chance: random.Random,
        versions: Versions,
        unknown: Unknown,
        lookout: Lookout,
    ) -> None:
        self._sockets = sockets
        self._settings = settings
        self._instance = instance
        self._receiver = receiver
        self._log = log
        self._offer = offer
        self._turned = turned
        self._chance = chance
        self._versions = versions
        self._unknown = unknown
        self._lookout = lookout

    # ---- the life of a link ----------------------------------------------------------------------

    async def keep(self, link: Link) -> None:
        """Until the link is closed."""
        failed = 0
        while not link.closed:
            failed = await self.step(link, failed)

    async def step(self, link: Link, failed: int) -> int:
        """Wait for a reason to try, try, rest. Takes and gives how many attempts in a row have failed, or
        were soon over."""
        while not _worth_trying(link):
            if link.closed:
                return 0
            await link.bell.wait()
        settings = self._settings
        before, began = link.ups, trio.current_time()
        await self._attempt(link)
        if link.closed:
            return 0
        failed += 1
        if link.ups != before:
            self._down(link)
            if trio.current_time() - began > settings.retry_ms_max / 1000:
                failed = 0  # it was worth it
        most = min(settings.retry_ms_max, settings.retry_ms_min * 2 ** min(failed, 16))
        with trio.move_on_after(most * self._chance.uniform(0.5, 1.0) / 1000):
            await link.bell.wait()
            return 0  # somebody knows better
        return failed

    async def _attempt(self, link: Link) -> None:
        """One connection, from its beginning to its end. `link.ended` then says why it ended."""
        assert link.aim is not None
        link.attempts += 1
        link.failing = ""
        with trio.CancelScope() as scope:
            link.scope = scope
            try:
                address = await self._resolve(link.aim, link.attempts - 1)
                keys = link.peer.keys  # a node that is changing its key has one or the other
                raw = self._sockets.dealer(address, keys[(link.attempts - 1) % len(keys)])
                socket = Socket(raw)
                monitor = self._sockets.monitor(raw, ENDS | FAILED_HANDSHAKES)
                try:
                    raw.connect(address.endpoint())
                    link.socket = socket
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._watch, link, monitor)
                        await self._greet(link, socket)
                        # What is missed by a send is seen with the answer to the next heartbeat, at the latest.
                        self._lookout.add(socket, self, link, marked=False)
                        await trio.sleep_forever()
                finally:
                    link.socket = None
                    self._lookout.remove(socket)
                    end_monitor(raw, monitor)
                    socket.close()
            except (AddressUnusable, zmq.ZMQError) as error:
                link.ended = "unreachable"
                self._log.warn("link_unreachable", peer=link.peer.node.hex(), error=str(error))
            except Exception as error:  # the next attempt begins at the beginning
                if not rescued(error):
                    raise
                link.ended = "failed"
            finally:
                link.scope = None
                link.up = False

    async def _resolve(self, aim: Address, turn: int) -> Address:
        with trio.move_on_after(self._settings.greeting_ms_max / 1000):
            return await resolve(aim, turn)
        raise AddressUnusable(f"{aim.host!r} isn't resolved in time")

    async def _greet(self, link: Link, socket: Socket) -> None:
        """Until the peer has welcomed us."""
        with trio.move_on_after(self._settings.greeting_ms_max / 1000):
            await socket.send(
                words.say(
                    words.HELLO,
                    words.VERSION,
                    link.peer.node,
                    link.group,
                    self._instance,
                    link.attempts,
                    self._settings.message_bytes_max,
                    *self._versions.words(),
                )
            )
            while not link.up:
                for frames in await socket.receive():
                    self._hear(link, frames)
            return
        link.end("no welcome")
        await trio.lowlevel.checkpoint()

    def attend(self, link: Link, ends_at: float) -> bool:
        """Hear what the peer answers, and go on with what didn't fit (`lookout.Attendant`)."""
        socket = link.socket
        if socket is None:
            return False
        ready = socket.events()
        if ready & _IN:
            for frames in socket.receive_nowait():
                self._hear(link, frames)
        if link.outbox.blocked and link.up and ready & _OUT:
            self.flush(link)
        return False

    async def _watch(self, link: Link, monitor: Socket) -> None:
        while True:
            _note_ends(link, await monitor.receive())

    # ---- what the peer answers -------------------------------------------------------------------

    def _hear(self, link: Link, frames: Frames) -> None:
        link.heard_at = now = trio.current_time()
        try:
            said = words.read(frames[0].bytes)
            match said:
                case [words.PONG, int(sent_ms), *_]:
                    link.round_trip_ms = max(0.0, now * 1000 - sent_ms)
                case [words.WELCOME, words.VERSION, bytes(), *_] if not link.up:
                    self._up(link)
                case [words.REFUSED, str(reason), *more]:
                    reason = reason[:REASON_CHARACTERS_MAX]
                    self._log.warn("link_refused", peer=link.peer.node.hex(), group=link.group, reason=reason)
                    apart = more[:1] == [words.APART]
                    link.end(reason if apart else "refused", apart=apart)
                case [words.RESET, str(), *_]:
                    link.end("reset by the peer")
                case [int(kind), *_] if kind >= words.KINDS:
                    self._unknown.note(kind)
                case _:
                    raise words.Malformed("an answer that is none")
        except words.Malformed as error:
            self._log.warn("peer_malformed", peer=link.peer.node.hex(), group=link.group, why=str(error))
            link.end("malformed answer")

    def _up(self, link: Link) -> None:
        link.outbox.clear()
        link.up = True
        link.ups += 1
        link.ended = ""
        link.apart = False
        self._log.note("link_up", peer=link.peer.node.hex(), group=link.group)
        if link.group is None:
            link.offer_due = True
            self.flush(link)
            self._turned(link)
        self._receiver.connected(link.peer.node, link.group)

    def _down(self, link: Link) -> None:
        self._log.warn("link_down", peer=link.peer.node.hex(), group=link.group, reason=link.ended)
        if link.group is None:
            self._turned(link)
        self._receiver.disconnected(link.peer.node, link.group)

    # ---- sending ---------------------------------------------------------------------------------

    def flush(self, link: Link) -> None:
        """Give ZeroMQ what waits, as far as it takes it; the link's task goes on with the rest."""
        socket, outbox = link.socket, link.outbox
        assert socket is not None
        if link.offer_due:
            if not socket.send_nowait(self._offer()):
                self._block(link, socket)
                return
            link.offer_due = False
        for _ in range(FLUSH_BATCHES):
            batch = outbox.pack()
            if batch is None:
                outbox.blocked = False
                return
            if not socket.send_nowait(batch):
                break
            link.sent_batches += 1
            link.sent_bytes += len(batch)
            link.sent_messages += outbox.sent()
        self._block(link, socket)

    def _block(self, link: Link, socket: Socket) -> None:
        if not link.outbox.blocked:
            link.outbox.blocked = True
        socket.look_again(_OUT)

    def beat(self, links: Iterable[Link], due: float) -> None:
        """Ask every peer for a sign of life, and end the links that gave none. `due`: when this was to be called."""
        now = trio.current_time()
        late = max(0.0, now - due)  # this process stood still for so long: nobody is blamed for it
        ping = words.say(words.PING, int(now * 1000))
        for link in links:
            if link.up and link.socket is not None:
                link.heard_at = min(now, link.heard_at + late)
                if now - link.heard_at > self._settings.silence_ms_max / 1000:
                    link.end("silent")
                else:
                    link.socket.send_nowait(ping)  # not taken: then it has enough to answer
                    if link.outbox.blocked:
                        link.socket.look_again(_OUT)


def _note_ends(link: Link, events: Sequence[Frames]) -> None:
    for frames in events:
        event = event_of(frames[0].bytes)
        if event & FAILED_HANDSHAKES:
            refused = EXPELLED if value_of(frames[0].bytes) == int(GONE) else NOT_ADMITTED
            link.failing = refused if event == _AUTH_FAILED else STRANGE
        elif event & ENDS:
            link.end(link.failing or (DISCONNECTED if link.up else "unreachable"))


def _worth_trying(link: Link) -> bool:
    """Whether it is known where the peer is, and for a group also that it is there."""
    return link.aim is not None and (link.control is None or link.control.up)
