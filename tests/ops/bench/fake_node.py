"""A stand-in for a node, for tests of the load generator: one process, one selector, no store, no checks.

    python fake_node.py --config node.toml

It speaks plain TCP on `plain_port` of [listen]. `trick` of [fake] names what it does wrong or unusually:

stored        accepts every message as stored (how=1), a receipt follows
gap, busy     refuses the 3rd message of every pair once, and drops what follows until it comes again
twice         delivers every message of number 5 twice
loses         never delivers messages of number 5
closes        closes the connection of whoever sends number 5
refuses       answers the first two logins of each user with an error that says to come again
ends          ends before it is ready
stubborn      doesn't listen to SIGTERM
"""

import argparse
import selectors
import signal
import socket
import sys
import tomllib
from pathlib import Path
from typing import Any

from node.wire.codec import decode_client, encode
from node.wire.limits import FRAME_MAX
from node.wire.verbs import (
    ACCEPTED,
    ACK,
    BUSY,
    CONFIRM,
    DELIVER,
    DELIVERED,
    ERROR,
    GAP,
    HELLO,
    KIND_DELIVERED,
    LOGIN,
    ONE_COPY,
    RECEIPT,
    SEND,
)

Pair = tuple[int, int]


class FakeNode:
    """All users, their connections and what waits for them."""

    def __init__(self, trick: str) -> None:
        self.trick = trick
        self.online: dict[int, socket.socket] = {}
        self.users: dict[socket.socket, int] = {}
        self.waiting: dict[int, list[tuple[Any, ...]]] = {}
        self.expected: dict[Pair, int] = {}
        self.stored: set[tuple[Pair, int]] = set()
        self.refused: dict[Any, int] = {}

    def take(self, sock: socket.socket, frame: tuple[Any, ...]) -> None:
        match frame:
            case (verb, *_) if verb == HELLO:
                self.write(sock, (HELLO, 1, (), bytes(32), FRAME_MAX, 64, "fake"))
            case (verb, user, _signature) if verb == LOGIN:
                self.log_in(sock, user)
            case (verb, recipient, stream, n, _base, body) if verb == SEND:
                self.take_message(sock, (recipient, self.users[sock]), stream, n, body)
            case (verb, sender, stream, first, last) if verb == ACK:
                self.take_ack(sock, sender, stream, first, last)

    def log_in(self, sock: socket.socket, user: int) -> None:
        if self.trick == "refuses" and self.refused.get(user, 0) < 2:
            self.refused[user] = self.refused.get(user, 0) + 1
            self.write(sock, (ERROR, 1, "come again", 1, None))
            return
        self.users[sock] = user
        self.online[user] = sock
        waiting = self.waiting.pop(user, [])
        self.write(sock, (LOGIN, 0, 1, len(waiting)), *waiting)

    def take_message(self, sock: socket.socket, pair: Pair, stream: bytes, n: int, body: bytes) -> None:
        recipient, sender = pair
        expected = self.expected.get(pair, 1)
        if n != expected:
            return  # after a refusal: it comes again
        if n == 3 and self.trick in ("gap", "busy") and pair not in self.refused:
            self.refused[pair] = 1
            self.write(
                sock, (GAP, recipient, stream, 2) if self.trick == "gap" else (BUSY, recipient, stream, 3, 1)
            )
            return
        self.expected[pair] = n + 1
        if n == 5 and self.trick == "closes":
            raise ConnectionResetError
        delivery = (DELIVER, sender, stream, n, 0, 0, body)
        there = self.online.get(recipient)
        if there is None or self.trick == "stored":
            self.stored.add((pair, n))
            self.write(sock, (ACCEPTED, recipient, stream, n, n, ONE_COPY))
        if there is None:
            self.waiting.setdefault(recipient, []).append(delivery)
        elif not (n == 5 and self.trick == "loses"):
            self.write(there, *[delivery] * (2 if n == 5 and self.trick == "twice" else 1))

    def take_ack(self, sock: socket.socket, sender: int, stream: bytes, first: int, last: int) -> None:
        recipient = self.users[sock]
        self.write(sock, (CONFIRM, sender, stream, KIND_DELIVERED, first, last))
        for n in range(first, last + 1):
            if ((recipient, sender), n) in self.stored:
                self.write(self.online[sender], (RECEIPT, recipient, stream, KIND_DELIVERED, n, n))
            else:
                self.write(self.online[sender], (ACCEPTED, recipient, stream, n, n, DELIVERED))

    def write(self, sock: socket.socket, *frames: tuple[Any, ...]) -> None:
        sock.setblocking(True)
        sock.sendall(b"".join(map(encode, frames)))
        sock.setblocking(False)

    def leave(self, sock: socket.socket) -> None:
        user = self.users.pop(sock, None)
        if user is not None:
            del self.online[user]
        sock.close()


def serve(listener: socket.socket, node: FakeNode) -> None:
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    remainders: dict[socket.socket, bytes] = {}
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                sock, _ = listener.accept()
                sock.setblocking(False)
                selector.register(sock, selectors.EVENT_READ)
                remainders[sock] = b""
                continue
            sock = key.fileobj  # type: ignore[assignment]
            try:
                data = sock.recv(65_536)
                if not data:
                    raise ConnectionResetError
                data = remainders[sock] + data
                frames: list[tuple[Any, ...]] = []
                remainders[sock] = data[decode_client(data, FRAME_MAX, frames) :]
                for frame in frames:
                    node.take(sock, frame)
            except OSError:
                selector.unregister(sock)
                del remainders[sock]
                node.leave(sock)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    config = tomllib.loads(parser.parse_args().config.read_text())
    trick = config.get("fake", {}).get("trick", "")
    if trick == "ends":
        sys.exit("the fake node was told to end")
    if trick == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with socket.create_server(("127.0.0.1", config["listen"]["plain_port"]), backlog=256) as listener:
        print("ready", listener.getsockname(), flush=True)
        serve(listener, FakeNode(trick))


if __name__ == "__main__":
    main()
