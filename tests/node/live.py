"""A node in this process, on loopback sockets and a real store, and phones that speak raw frames to it.

The node is the one that `waystation run` runs; only its clock stands still until a test moves it, its commits are
made on the loop, and PINs are caught. Every frame of either side goes through the schema's checkers. Nothing here
sleeps: a test waits for a frame, for the end of a connection, or until the node has nothing left to do (`settle`).
"""

import hashlib
import io
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Literal, Self

import attrs
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.accounts.provision import provision
from node.assembling import Parts
from node.hub.settings import ListenerSettings
from node.hub.tls import ServerTls
from node.running import NodeSettings, Running, Surroundings, run_node
from node.wire import verbs
from node.wire.codec import Decoder, check_client, check_server, decode_server, encode
from node.wire.errors import REGISTRY
from node.wire.limits import FRAME_MAX
from node.wire.login import login_message
from store.limits import StoreSettings

Frame = tuple[Any, ...]

GIVE_UP_S = 10.0
"""How long anything may take that must come. Only a test that fails waits for it."""
WALL_AT_START = 1_800_000_000.0
ADDRESS = "127.0.0.1"


@attrs.frozen
class Device:
    """A number's device: what a phone keeps."""

    user: int
    secret: Ed25519PrivateKey = attrs.field(repr=False)
    stream: bytes

    @classmethod
    def of(cls, index: int, generation: int = 1) -> Self:
        """Always the same for the same numbers."""
        seed = bytes([index, generation]) * 16
        return cls(15_551_230_000 + index, Ed25519PrivateKey.from_private_bytes(seed), seed[:8])

    @property
    def key(self) -> bytes:
        return self.secret.public_key().public_bytes_raw()

    def login(self, nonce: bytes, certificate: bytes = b"") -> Frame:
        return (
            verbs.LOGIN,
            self.user,
            self.secret.sign(login_message(self.user, nonce, certificate)),
        )

    def register(self, pin: str) -> Frame:
        return (verbs.REGISTER, self.user, pin, self.key, self.stream)

    def send(self, to: "Device", n: int, body: bytes = b"", base: int | None = None) -> Frame:
        """`base` is `n` unless it is told: nothing before it waits to be accepted."""
        return (verbs.SEND, to.user, self.stream, n, n if base is None else base, body or b"body %d" % n)

    def skip(self, to: "Device", n: int, base: int | None = None) -> Frame:
        return (verbs.SKIP, to.user, self.stream, n, n if base is None else base)

    def accepted(self, to: "Device", first: int, last: int, how: int) -> Frame:
        return (verbs.ACCEPTED, to.user, self.stream, first, last, how)

    def ack(self, sender: "Device", first: int, last: int | None = None) -> Frame:
        return (verbs.ACK, sender.user, sender.stream, first, first if last is None else last)


class FakeTime:
    """Seconds that pass only when told."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Output(io.StringIO):
    """Where the printing gateway prints. `pins`: by number, oldest first."""

    def __init__(self) -> None:
        super().__init__()
        self.printed = trio.Event()

    def write(self, text: str) -> int:
        written = super().write(text)
        if "PIN +" in self.getvalue():
            self.printed.set()
        return written

    async def pin(self, user: int) -> str:
        """The newest PIN of a number, once there is one."""
        with trio.fail_after(GIVE_UP_S):
            await self.printed.wait()
        lines = [line.split() for line in self.getvalue().splitlines() if line.startswith("PIN ")]
        return next(words[2] for words in reversed(lines) if words[1] == f"+{user}")


class LiveNode:
    """A node that serves. `time`: its monotonic clock; its wall clock moves with it."""

    def __init__(self, running: Running, time: FakeTime, output: Output, stop: trio.Event) -> None:
        self.running = running
        self.service = running.service
        self.mail = running.service.mail
        self.time = time
        self.output = output
        self.stop = stop
        self.ended = trio.Event()
        self.ports = {name: port for name, _, port in running.addresses}
        self._streams: list[trio.abc.Stream] = []

    # ---- time --------------------------------------------------------------------------------------

    async def turn(self) -> None:
        """The hub has had a turn from its beginning to its end."""
        done = trio.Event()
        self.running.hub.soon(done.set)
        with trio.fail_after(GIVE_UP_S):
            await done.wait()

    async def settle(self) -> None:
        """Nothing is left that the node would do by itself before time passes."""
        await self.wait(lambda: not self._is_busy())
        await self.turn()

    async def wait(self, condition: Callable[[], Any]) -> None:
        """Turns of the hub until the condition holds."""
        with trio.fail_after(GIVE_UP_S):
            await self.turn()
            while not condition():
                await self.turn()
        self.mail.check()

    def _is_busy(self) -> bool:
        mail = self.mail
        registration = self.service.accounts.statistics()["registration"]
        return bool(
            mail.out or mail.committing or mail.loading or mail.box_loading or registration["in_store"]
        )

    async def pass_ms(self, milliseconds: float) -> None:
        """What was said is heard; then so much time passes, at most a second at once, and the node does what is due."""
        await self.settle()
        while milliseconds > 0:
            step = min(milliseconds, 1_000)
            milliseconds -= step
            self.time.now += step / 1000
            await self.settle()

    async def pass_s(self, seconds: float) -> None:
        await self.pass_ms(seconds * 1000)

    # ---- phones ------------------------------------------------------------------------------------

    async def connect(self) -> "Phone":
        """A plain connection on which nothing was said."""
        stream = await trio.open_tcp_stream(ADDRESS, self.ports["plain"])
        return self._phone(stream, b"")

    async def connect_tls(self, certificate: bytes | None = None) -> "Phone":
        """A TLS connection; the certificate's hash as the phone saw it, unless another one is given."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        tcp = await trio.open_tcp_stream(ADDRESS, self.ports["public"])
        stream = trio.SSLStream(tcp, context, https_compatible=True)
        with trio.fail_after(GIVE_UP_S):
            await stream.do_handshake()
        if certificate is None:
            der = stream.getpeercert(binary_form=True)
            certificate = hashlib.sha256(der).digest()
        return self._phone(stream, certificate)

    def _phone(self, stream: trio.abc.Stream, certificate: bytes) -> "Phone":
        self._streams.append(stream)
        return Phone(self, stream, certificate)

    async def greeted(self) -> "Phone":
        """A plain connection after hello."""
        phone = await self.connect()
        await phone.hello()
        return phone

    async def login(self, device: Device) -> "Phone":
        """A plain connection after login. `welcome` is kept by the phone."""
        phone = await self.greeted()
        await phone.login(device)
        return phone

    async def finish(self) -> None:
        """The graceful end: everybody is told; those who don't hang up by themselves are given no more time."""
        self.stop.set()
        with trio.fail_after(GIVE_UP_S):
            while not self.ended.is_set():
                await trio.lowlevel.checkpoint()
                self.time.now += 1
                if self.running.hub.asleep:
                    self.running.hub.wake()

    async def close_phones(self) -> None:
        for stream in self._streams:
            await trio.aclose_forcefully(stream)


class Phone:
    """One connection. What the node says is kept until it is asked for."""

    def __init__(self, node: LiveNode, stream: trio.abc.Stream, certificate: bytes) -> None:
        self.node = node
        self.stream = stream
        self.certificate = certificate
        self.nonce = b""
        self.welcome: Frame = ()
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self._frames: list[Frame] = []

    async def send(self, *frames: Frame) -> None:
        """All in one write. The frames are such as a client may make; whether they may come now is the test's."""
        for frame in frames:
            check_client(frame)
        await self.send_bytes(b"".join(map(encode, frames)))

    async def send_bytes(self, data: bytes) -> None:
        with trio.fail_after(GIVE_UP_S):
            await self.stream.send_all(data)

    async def next(self) -> Frame:
        """The next frame of the node."""
        while not self._frames:
            assert await self._receive(), "the node has closed the connection"
        return self._frames.pop(0)

    async def _receive(self) -> bool:
        with trio.fail_after(GIVE_UP_S):
            data = await self.stream.receive_some(FRAME_MAX)
        frames = self._decoder.feed(bytes(data))
        for frame in frames:
            check_server(frame)
        self._frames += frames
        return bool(data)

    async def expect(self, *frames: Frame) -> None:
        """These are the next frames."""
        for frame in frames:
            got = await self.next()
            assert got == frame, f"{got} where {frame} was due"

    async def said(self) -> list[Frame]:
        """What the node has said until now, and nothing that it will say only later."""
        await self.node.settle()
        await self.send((verbs.PING, False, 4_000_000_000))
        frames: list[Frame] = []
        while (frame := await self.next()) != (verbs.PING, True, 4_000_000_000):
            frames.append(frame)
        return frames

    async def quiet(self) -> None:
        """The node has said nothing more."""
        assert await self.said() == []

    async def end(self) -> list[Frame]:
        """What comes until the node closes the connection."""
        while await self._receive():
            pass
        frames, self._frames = self._frames, []
        return frames

    async def refused(self, code: int) -> Frame:
        """An error of this code is the last that comes. Gives it."""
        (frame,) = await self.end()
        assert frame[:2] == (verbs.ERROR, code), frame
        assert REGISTRY[code].closes
        return frame

    async def close(self) -> None:
        """Vanish, as a phone does that has no more time."""
        await trio.aclose_forcefully(self.stream)
        if not self.node.stop.is_set():
            await self.node.settle()

    async def hello(self) -> Frame:
        await self.send((verbs.HELLO, 1, 1, (), "raw"))
        answer = await self.next()
        assert answer[0] == verbs.HELLO, answer
        self.nonce = answer[3]
        return answer

    async def login(self, device: Device) -> Frame:
        await self.send(device.login(self.nonce, self.certificate))
        self.welcome = await self.next()
        assert self.welcome[0] == verbs.LOGIN, self.welcome
        await self.node.settle()
        return self.welcome

    async def register(self, device: Device) -> Frame:
        """With a PIN that is asked for and printed; gives the answer to the registration."""
        await self.send((verbs.PIN, device.user))
        answer = await self.next()
        assert answer[:2] == (verbs.PIN, device.user), answer
        pin = await self.node.output.pin(device.user)
        await self.send(device.register(pin))
        return await self.next()


def error(code: int, about: Frame | None = None, retry_ms: int = 0, text: str = "") -> Frame:
    """An error frame with the registry's text."""
    return (verbs.ERROR, code, text or REGISTRY[code].text, retry_ms, about)


VERBS = ("HELLO", "PIN", "REGISTER", "LOGIN", "SEND", "SKIP", "ACCEPTED", "GAP", "DELIVER", "ACK", "READ", "RECEIPT",
         "CONFIRM", "PING", "BUSY", "MOVED", "BYE")  # fmt: skip


def name_of(frame: Frame) -> str:
    """A verb's name, or an error's."""
    if frame[0] == verbs.ERROR:
        return REGISTRY[frame[1]].name
    return next(name.lower() for name in VERBS if getattr(verbs, name) == frame[0])


@asynccontextmanager
async def live_node(
    path: Path,
    *,
    devices: Iterable[Device] = (),
    tls: ServerTls | None = None,
    committer: Literal["thread", "inline"] = "inline",
    time: FakeTime | None = None,
    begin: Callable[[Parts], None] = lambda _: None,
    **sections: Any,
) -> AsyncIterator[LiveNode]:
    """A node on a data directory that may be new. At the end it is stopped without a word, unless it has ended.

    Args:
        devices: registered before the node starts.
        begin: see `Surroundings`.
        sections: fields of NodeSettings.
    """
    time = time or FakeTime(1_000.0)
    output = Output()
    listeners = [ListenerSettings(ADDRESS, 0, None, name="plain")]
    if tls is not None:
        listeners.append(ListenerSettings(ADDRESS, 0, tls, name="public"))
    known = [(device.user, device.key, device.stream) for device in devices]
    if known:
        provision(path, known)
    sections.setdefault("store", StoreSettings(map_bytes=256 * 1024 * 1024, linger_ms=0))
    settings = NodeSettings(data=path, listeners=tuple(listeners), **sections)
    surroundings = Surroundings(
        output=output,
        wall=lambda: WALL_AT_START + time(),
        monotonic=time,
        chance=Random(7),
        committer=committer,
        begin=begin,
    )
    stop, ready, started = trio.Event(), trio.Event(), []

    def is_ready(running: Running) -> None:
        started.append(running)
        ready.set()

    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await run_node(settings, is_ready, stop, surroundings=surroundings)
            node.ended.set()

        nursery.start_soon(run)
        with trio.fail_after(GIVE_UP_S):
            await ready.wait()
        node = LiveNode(started[0], time, output, stop)
        try:
            yield node
            if not stop.is_set():
                await node.settle()
                assert node.running.hub.statistics().failures == 0, "a handler failed; see the log"
        finally:
            await node.close_phones()
            nursery.cancel_scope.cancel()
