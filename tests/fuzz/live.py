"""Aims mutated frames at a node that serves: `python -m tests.fuzz.live --frames 1000000 --seconds 180 --json`.

Some connections begin with the mutated frame, others say hello before it, or wait for a PIN, or are logged in and have
sent bent frames: right by the schema, wrong otherwise. Only declared errors may come back, nothing may follow one that
closes, and what the decoder refuses must be refused with its code. Meanwhile two users talk through the same node: all
their messages are delivered, once and in order. The node's log must stay clean and its memory flat.
"""

import argparse
import json
import logging
import select
import socket
import sys
import tempfile
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import attrs

from node.accounts.provision import provision
from node.wire import errors, verbs
from node.wire.codec import Decoder, check_client, check_server, decode_client, decode_server, encode
from node.wire.errors import REGISTRY, WireError
from node.wire.limits import FRAME_MAX, FRAME_MAX_BEFORE_LOGIN
from ops.bench import process
from ops.bench.node_process import NodeProcess, free_ports
from tests.fuzz.mutate import mutated
from tests.node.live import Device, Frame

STATES = ("new", "greeted", "asking", "talking")
WORKERS = 4
USERS_EACH = 3
"""Numbers that a worker logs in as."""
BENT_MAX = 20
"""Bent frames sent before the mutated one where the connection is logged in."""
HELD = 50
"""Connections that a worker leaves open with what it has sent, whole or not, the oldest closed for each new one."""
GIVE_UP_S = 30.0
PAUSE_S = 0.002
WARM_UP_SHARE = 0.25
SAMPLES = 12
LOOK_EVERY_S = 0.5

ALICE, BOB = Device.of(1), Device.of(2)
HELLO = encode((verbs.HELLO, 1, 1, (), "fuzz"))
MAY_COME = {
    "new": {verbs.HELLO, verbs.ERROR},
    "greeted": {verbs.HELLO, verbs.PIN, verbs.PING, verbs.ERROR},
    "asking": {verbs.HELLO, verbs.PIN, verbs.PING, verbs.ERROR},
    "talking": {
        verbs.ACCEPTED, verbs.GAP, verbs.BUSY, verbs.DELIVER, verbs.RECEIPT, verbs.CONFIRM, verbs.PING, verbs.ERROR,
    },
}  # fmt: skip
NEVER = {errors.INTERNAL, errors.SHUTTING_DOWN, errors.TOO_MANY_CONNECTIONS, errors.TIMEOUT}

CONFIG: dict[str, dict[str, Any]] = {
    # A node that forgets soon, and doesn't send the whole machine away for what a part of it does.
    "mail": {"pairs_cached_max": 500, "send_rate": 10_000.0, "send_burst": 100_000, "mailbox_messages_max": 500},
    "limits": {"accepts_per_address_max": 0},
    "registration": {
        "address_logins_burst": 1_000_000, "number_logins_burst": 1_000_000, "address_pins_burst": 1_000_000,
        "address_guesses_burst": 1_000_000, "budgets_max": 1_000,
    },
}  # fmt: skip


class Surprise(AssertionError):
    """The node did something that it may not; the text says how to see it again."""


@attrs.define
class Tally:
    """What happened."""

    seed: int
    frames: int = 0
    """Mutated and bent ones together."""
    bent: int = 0
    connections: int = 0
    states: Counter[str] = attrs.field(factory=Counter)
    answers: Counter[str] = attrs.field(factory=Counter)
    resets: int = 0
    messages: int = 0
    """Of the pair that behaves; all delivered."""
    slowest_ms: int = 0
    """From the sending of one of them to its acceptance."""
    seconds: float = 0.0
    anonymous_bytes: list[int] = attrs.field(factory=list)
    """The node's memory, at even distances."""

    @property
    def anonymous_growth_bytes(self) -> int:
        """From after the warm-up to the end."""
        samples = self.anonymous_bytes
        return samples[-1] - samples[int(len(samples) * WARM_UP_SHARE)] if samples else 0

    def report(self) -> dict[str, Any]:
        return attrs.asdict(self) | {
            "anonymous_growth_bytes": self.anonymous_growth_bytes,
            "frames_per_second": round(self.frames / max(self.seconds, 1e-9)),
        }

    def add(self, other: "Tally") -> None:
        for name in ("frames", "bent", "connections", "resets"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.states += other.states
        self.answers += other.answers


def devices() -> list[Device]:
    """Whom the node must know: the pair, and whom the workers log in as."""
    return [Device.of(index) for index in range(1, 3 + WORKERS * USERS_EACH)]


# ---- the pair that behaves -----------------------------------------------------------------------------------


class Client:
    """A phone of the pair. `received`: the numbers that its partner sent, in the order in which they came."""

    def __init__(self, port: int, device: Device, partner: Device) -> None:
        self.device, self.partner = device, partner
        self.sock = socket.create_connection(("127.0.0.1", port), GIVE_UP_S)
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self.sent = self.accepted = 0
        self.sent_at = 0.0
        self.slowest = 0.0
        self.received: list[int] = []
        self._frames: list[Frame] = []

    def login(self) -> None:
        self.write((verbs.HELLO, 1, 1, (), "pair"))
        self.write(self.device.login(self._next()[3]))
        assert self._next()[0] == verbs.LOGIN

    def _next(self) -> Frame:
        while not self._frames:
            self._frames += self._read()
        return self._frames.pop(0)

    def write(self, frame: Frame) -> None:
        check_client(frame)
        self.sock.sendall(encode(frame))

    def _read(self) -> list[Frame]:
        data = self.sock.recv(FRAME_MAX)
        assert data, f"{self.device}: the node has closed the connection"
        frames = self._decoder.feed(data)
        for frame in frames:
            check_server(frame)
        return frames

    def close(self) -> None:
        self.sock.close()

    def body(self, n: int) -> bytes:
        return b"%d says %d" % (self.device.user, n)

    def send_next(self) -> None:
        self.sent += 1
        self.sent_at = time.monotonic()
        self.write(self.device.send(self.partner, self.sent, self.body(self.sent)))

    def receive(self, partner: "Client") -> None:
        """Take what is there."""
        frames, self._frames = self._frames + self._read(), []
        for frame in frames:
            if frame[0] == verbs.DELIVER:
                if frame[1] == self.partner.user:
                    assert frame[2] == self.partner.stream
                    assert frame[6] == partner.body(frame[3]), "another body than was sent"
                    if frame[3] not in self.received[-64:]:
                        self.received.append(frame[3])
                self.write((verbs.ACK, frame[1], frame[2], frame[3], frame[3]))
            elif frame[0] == verbs.ACCEPTED:
                assert frame[3:5] == (self.sent, self.sent), frame
                self.accepted = self.sent
                self.slowest = max(self.slowest, time.monotonic() - self.sent_at)
            elif frame[0] == verbs.RECEIPT:
                self.write((verbs.CONFIRM, *frame[1:]))
            elif frame[0] == verbs.PING and not frame[1]:
                self.write((verbs.PING, True, frame[2]))
            else:
                assert frame[0] in (verbs.CONFIRM, verbs.PING), f"{self.device}: {frame}"


def talk(port: int, stop: threading.Event, tally: Tally) -> None:
    """Each sends to the other, one message after the other, until `stop` is set. Everything must come, in order."""
    with closing(Client(port, ALICE, BOB)) as alice, closing(Client(port, BOB, ALICE)) as bob:
        alice.login()
        bob.login()
        _converse(alice, bob, stop)
    tally.messages = alice.sent + bob.sent
    tally.slowest_ms = round(max(alice.slowest, bob.slowest) * 1000)


def _converse(alice: Client, bob: Client, stop: threading.Event) -> None:
    pair = {alice.sock: (alice, bob), bob.sock: (bob, alice)}
    quiet_since = time.monotonic()
    while True:
        unanswered = [one for one, _ in pair.values() if one.accepted < one.sent]
        missing = [one for one, other in pair.values() if len(one.received) < other.sent]
        if stop.is_set() and not unanswered and not missing:
            break
        if not stop.is_set():
            for one, _ in pair.values():
                if one.accepted == one.sent:
                    one.send_next()
        ready, _, _ = select.select([*pair], [], [], 1.0)
        for sock in ready:
            one, other = pair[sock]
            one.receive(other)
        if ready:
            quiet_since = time.monotonic()
        assert time.monotonic() - quiet_since < GIVE_UP_S, f"unanswered: {unanswered}, missing: {missing}"
        time.sleep(PAUSE_S)
    for one, other in pair.values():
        assert one.received == [*range(1, other.sent + 1)], "lost, repeated or out of order"


# ---- those who don't -------------------------------------------------------------------------------------------


class Worker:
    """One connection after the other, each with a mutated frame at its end."""

    def __init__(self, port: int, seed: int, index: int) -> None:
        self.tally = Tally(seed)
        self._port = port
        self._index = index
        self._random = Random(f"{seed} {index}")
        self._items = mutated("client", seed * 1_000 + index)
        first = 3 + index * USERS_EACH
        self._devices = [Device.of(first + place) for place in range(USERS_EACH)]
        self._held: deque[socket.socket] = deque()

    def run(self, more: Callable[[], bool]) -> Tally:
        """Until `more` says no.

        Raises:
            Surprise: on the first thing that is not as it must be.
        """
        try:
            while more():
                self._one()
        finally:
            while self._held:
                self._held.popleft().close()
        return self.tally

    def _one(self) -> None:
        state = self._random.choice(STATES)
        item = next(self._items)
        tally = self.tally
        sock = self._connect()
        try:
            self._attack(sock, state, item)
        except Exception as error:
            sock.close()
            raise Surprise(
                f"seed {tally.seed}, worker {self._index}, frame {tally.frames}, {state}: {item[:400].hex()}: {error!r}"
            ) from error
        tally.frames += 1
        tally.connections += 1
        tally.states[state] += 1

    def _connect(self) -> socket.socket:
        sock = socket.socket()
        sock.settimeout(GIVE_UP_S)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_BIND_ADDRESS_NO_PORT, 1)
        # Many addresses: of one, the kernel would run out of ports.
        sock.bind((f"127.1.{self._index + 1}.{self._random.randint(1, 250)}", 0))
        sock.connect(("127.0.0.1", self._port))
        return sock

    def _attack(self, sock: socket.socket, state: str, item: bytes) -> None:
        start = b""
        if state in ("greeted", "asking"):
            start = HELLO
        if state == "asking":
            start += encode((verbs.PIN, self._random.choice(self._devices).user))
        decoder = Decoder(decode_server, FRAME_MAX)
        frames: list[Frame] = []
        if state == "talking":
            start = self._log_in(sock, decoder, frames)
        sock.sendall(start + item)
        if self._random.randrange(HELD) == 0:
            self._held.append(sock)
            if len(self._held) > HELD:
                self._held.popleft().close()
            return
        sock.shutdown(socket.SHUT_WR)
        frames += self._read_to_the_end(sock, decoder)
        sock.close()
        self._judge(state, item, frames)

    def _log_in(self, sock: socket.socket, decoder: Decoder, more: list[Frame]) -> bytes:
        """Log in; gives what is to be said before the mutated frame. What comes after the welcome goes to `more`."""
        sock.sendall(HELLO)
        hello = self._next(sock, decoder, more)
        device = self._random.choice(self._devices)
        sock.sendall(encode(device.login(hello[3])))
        welcome = self._next(sock, decoder, more)
        assert welcome[0] == verbs.LOGIN, welcome
        frames = list(self._bent(device))
        self.tally.bent += len(frames)
        self.tally.frames += len(frames)
        return b"".join(map(encode, frames))

    @staticmethod
    def _next(sock: socket.socket, decoder: Decoder, more: list[Frame]) -> Frame:
        while True:
            data = sock.recv(FRAME_MAX)
            assert data, "closed while logging in"
            if frames := decoder.feed(data):
                more += frames[1:]
                return frames[0]

    def _bent(self, device: Device) -> Iterator[Frame]:
        """Frames that may come, with members that are valid each for itself: devices that there are, numbers that are
        near one another, in any order."""
        random = self._random
        for _ in range(random.randrange(BENT_MAX)):
            other = random.choice((BOB, *self._devices))
            n = random.randint(1, random.choice((3, 30, 2_000)))
            last = n + random.choice((0, 0, 1, 30, 1_023))
            yield random.choice(
                (
                    device.send(
                        other, n, random.randbytes(random.choice((0, 1, 40))) or b"x", random.randint(1, n)
                    ),
                    device.skip(other, n, random.randint(1, n)),
                    (verbs.ACK, other.user, other.stream, n, last),
                    (verbs.READ, other.user, other.stream, last),
                    (verbs.CONFIRM, other.user, device.stream, random.randint(1, 3), n, last),
                    (verbs.SEND, other.user, random.randbytes(8), n, n, b"of another stream"),
                    (verbs.PING, random.random() < 0.5, n),
                )
            )

    def _read_to_the_end(self, sock: socket.socket, decoder: Decoder) -> list[Frame]:
        frames: list[Frame] = []
        try:
            while data := sock.recv(FRAME_MAX):
                frames += decoder.feed(data)
        except ConnectionResetError:
            self.tally.resets += 1
        else:
            assert decoder.kept == 0, "half a frame at the end"
        return frames

    def _judge(self, state: str, item: bytes, frames: list[Frame]) -> None:
        answers = self.tally.answers
        for place, frame in enumerate(frames):
            check_server(frame)
            assert frame[0] in MAY_COME[state], frame
            if frame[0] == verbs.ERROR:
                entry = REGISTRY[frame[1]]
                assert frame[1] not in NEVER, frame
                assert not entry.closes or place == len(frames) - 1, f"{frames[place + 1]} after {frame}"
                answers[entry.name] += 1
        good: list[Frame] = []
        try:
            decode_client(item, FRAME_MAX if state == "talking" else FRAME_MAX_BEFORE_LOGIN, good)
        except WireError as error:
            code = error.code
        else:
            return
        if not good and state in ("new", "greeted"):
            assert frames, "no answer"
            assert frames[-1][:2] == (verbs.ERROR, code), f"{frames[-1]} where {REGISTRY[code].name} was due"


def fuzz(
    port: int, frames: int, seconds: float, seed: int, anonymous_bytes: Callable[[], int] | None = None
) -> Tally:
    """Send up to `frames` mutated or bent frames within about `seconds` to a node that knows `devices()`.

    Args:
        anonymous_bytes: the node's memory, if it is to be watched.

    Raises:
        Surprise: on the first thing that is not as it must be.
        AssertionError: the two who behave have noticed something.
    """
    tally = Tally(seed)
    stop, over = threading.Event(), threading.Event()
    began = time.monotonic()
    workers = [Worker(port, seed, index) for index in range(WORKERS)]

    def more() -> bool:
        sent = sum(worker.tally.frames for worker in workers)
        return not over.is_set() and sent < frames and time.monotonic() - began < seconds

    with ThreadPoolExecutor(WORKERS + 1) as threads:
        talking = threads.submit(talk, port, stop, tally)
        attacks = [threads.submit(worker.run, more) for worker in workers]
        try:
            while not all(attack.done() for attack in attacks):
                time.sleep(min(LOOK_EVERY_S, seconds / 20))
                sent = sum(worker.tally.frames for worker in workers)
                share = max(sent / frames, (time.monotonic() - began) / seconds)
                if anonymous_bytes is not None and share * SAMPLES > len(tally.anonymous_bytes):
                    tally.anonymous_bytes.append(anonymous_bytes())
                if talking.done() or any(attack.done() and attack.exception() for attack in attacks):
                    over.set()
            for attack in attacks:
                tally.add(attack.result())
            if anonymous_bytes is not None:
                tally.anonymous_bytes.append(anonymous_bytes())
        finally:
            over.set()
            stop.set()
        talking.result()
    tally.seconds = round(time.monotonic() - began, 3)
    return tally


def complaints(log: str) -> list[str]:
    """What a node logged that it shouldn't have."""
    return [
        line
        for line in log.splitlines()
        if "level=error" in line or "level=warning" in line or "Traceback" in line
    ]


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz.live", description="Fuzz a node that serves.")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the tally as JSON")
    options = parser.parse_args()
    logging.disable()
    (port,) = free_ports(1)
    with tempfile.TemporaryDirectory() as folder:
        provision(Path(folder) / "data", [(one.user, one.key, one.stream) for one in devices()])
        config = {**CONFIG, "listen": {"port": 0, "plain_port": port}}
        with NodeProcess.start(config, Path(folder)) as node:
            tally = fuzz(
                port,
                options.frames,
                options.seconds,
                options.seed,
                lambda: process.memory(node.pid).anonymous,
            )
            exit_code = node.stop()
            log = (node.directory / "node.log").read_text()
    found = complaints(log)
    report = tally.report() | {"exit_code": exit_code, "complaints": found[:20]}
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:24} {value}")
    return 1 if found or exit_code else 0


if __name__ == "__main__":
    sys.exit(main())
