"""A process that means ill: `python -m ops.faults.hostile KIND …`. It ends when its standard input does.

    garbage   connects, says nonsense in every stage of the protocol, and looks at how it is refused
    flood     tries to log in as fast as it can, with signatures that are wrong
    mute      holds connections that never say anything, or stop in the middle of a frame
    sloth     logs in with a real account and never reads; told `trickle`, reads a byte a second; told `drain`,
              comes back as a good phone, takes everything, and writes the history of it

Told `report`, it prints one line of JSON with what it counted. Its randomness comes from its seed. It must never
reach for anything but the one address it is given.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cyclopts import App

from node.wire import verbs
from node.wire.codec import Frame, encode
from ops.faults.raw import RawPhone
from ops.history.format import body_hash
from ops.history.writer import HistoryWriter

FLOOD_THREADS: Final = 4
GARBAGE_SECONDS_MAX: Final = 0.3
"""Some nonsense is the beginning of a frame, and the node rightly waits for the rest."""
MUTE_CONNECTIONS: Final = 100
QUIET_SECONDS: Final = 2.0
_GONE: Final = (OSError, ssl.SSLError, ConnectionError)

app = App(name="hostile", help="A process that means ill.")


class Orders:
    """What standard input said last, seen by every thread."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.word = ""
        self.counted: Counter[str] = Counter()

    def read(self) -> None:
        for line in sys.stdin:
            word = line.strip()
            if word == "report":
                print(json.dumps(self.counted), flush=True)
            else:
                self.word = word
        self.ended.set()

    def watch(self) -> None:
        threading.Thread(target=self.read, daemon=True).start()


# ---- garbage --------------------------------------------------------------------------------------------


def nonsense(rng: random.Random) -> bytes:
    """Bytes for a node to choke on: random ones, frames with flipped bytes, lengths that lie, wrong order."""
    good = encode(
        rng.choice(
            (
                [verbs.HELLO, 1, 1, [], "x"],
                [verbs.LOGIN, 15550000001, rng.randbytes(64)],
                [verbs.SEND, 15550000001, rng.randbytes(8), 1, 1, rng.randbytes(rng.randint(0, 3000))],
                [verbs.ACK, 15550000001, rng.randbytes(8), 1, 1 << 40],
                [verbs.PIN, 15550000001],
                [verbs.REGISTER, 15550000001, "000000", rng.randbytes(32), rng.randbytes(8)],
                [verbs.PING, False, 7],
            )
        )
    )
    match rng.randrange(6):
        case 0:
            return rng.randbytes(rng.randint(1, 2000))
        case 1:
            damaged = bytearray(good)
            for _ in range(rng.randint(1, 4)):
                damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
            return bytes(damaged)
        case 2:
            return struct.pack(">I", rng.choice((0, 1, 4097, 65537, 1 << 31, (1 << 32) - 1))) + good
        case 3:
            return good[: rng.randrange(1, len(good))]
        case 4:
            deep = b"\x81" * rng.randint(9, 3000) + b"\x00"
            return struct.pack(">I", len(deep)) + deep
        case _:
            return good * rng.randint(1, 30)


@app.command
def garbage(host: str, port: int, *, seed: int = 0, tls: bool = True, source: str | None = None) -> None:
    """Say nonsense, connection after connection."""
    orders, rng = Orders(), random.Random(seed)
    orders.watch()
    while not orders.ended.is_set():
        try:
            with RawPhone(
                host, port, tls=tls and rng.random() < 0.7, source=source, seconds_max=GARBAGE_SECONDS_MAX
            ) as phone:
                orders.counted["connections"] += 1
                if rng.random() < 0.7:
                    phone.hello()
                for _ in range(rng.randint(1, 4)):
                    phone.socket.sendall(nonsense(rng))
                while True:
                    frame = phone.receive()
                    orders.counted[f"answered {frame[0]}"] += 1
        except TimeoutError:
            orders.counted["left waiting"] += 1
        except _GONE as error:
            orders.counted["closed" if isinstance(error, ConnectionError) else type(error).__name__] += 1


# ---- flood ----------------------------------------------------------------------------------------------


@app.command
def flood(host: str, port: int, *, seed: int = 0, tls: bool = False, source: str | None = None) -> None:
    """Log in as fast as it goes, with wrong signatures."""
    orders = Orders()
    orders.watch()

    def run(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        while not orders.ended.is_set():
            try:
                with RawPhone(host, port, tls=tls, source=source, seconds_max=5) as phone:
                    phone.hello()
                    phone.send(verbs.LOGIN, rng.randint(10**10, 10**12), rng.randbytes(64))
                    orders.counted["logins"] += 1
                    frame = phone.receive()
                    orders.counted[f"answered {frame[0]} {frame[1]}"] += 1
            except _GONE as error:
                orders.counted[type(error).__name__] += 1

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(FLOOD_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# ---- mute -----------------------------------------------------------------------------------------------


@app.command
def mute(host: str, port: int, *, seed: int = 0, source: str | None = None) -> None:
    """Hold connections that say nothing, or half a frame."""
    orders, rng = Orders(), random.Random(seed)
    orders.watch()
    held: list[socket.socket] = []
    while not orders.ended.wait(0.02):
        if len(held) >= MUTE_CONNECTIONS:
            held.pop(rng.randrange(len(held))).close()
        try:
            connection = socket.create_connection(
                (host, port), timeout=2, source_address=(source, 0) if source else None
            )
            held.append(connection)
            orders.counted["connections"] += 1
            if rng.random() < 0.5:
                connection.sendall(rng.randbytes(rng.randint(1, 6)))
        except OSError as error:
            orders.counted[type(error).__name__] += 1


# ---- sloth ----------------------------------------------------------------------------------------------


@app.command
def sloth(
    host: str,
    port: int,
    *,
    user: int,
    seed_file: Path,
    history: Path,
    tls: bool = True,
    source: str | None = None,
) -> None:
    """Log in and don't read.

    Parameters
    ----------
    seed_file:
        32 bytes: the private key of the account.
    history:
        Where to write what it takes in the end.
    """
    orders = Orders()
    orders.watch()
    key = Ed25519PrivateKey.from_private_bytes(seed_file.read_bytes())
    writer = HistoryWriter(history, history.stem)
    writer.write("client-start", user=user)
    slow = _Sloth(writer, user)

    def connect() -> RawPhone:
        return RawPhone(host, port, tls=tls, source=source, receive_buffer=4096)

    while not orders.ended.is_set() and orders.word != "drain":
        try:
            with connect() as phone:
                phone.login(user, key)
                orders.counted["logins"] += 1
                while orders.word != "drain" and not orders.ended.wait(1.0):
                    if orders.word == "trickle":
                        for frame in phone.receive_some(1):
                            slow.take(phone, frame, acknowledge=False)
                        orders.counted["bytes"] += 1
        except _GONE as error:
            orders.counted[type(error).__name__] += 1
            time.sleep(0.2)
    while not orders.ended.is_set():
        try:
            with connect() as phone:
                phone.login(user, key)
                while phone.has_more(QUIET_SECONDS):
                    slow.take(phone, phone.receive(), acknowledge=True)
                    orders.counted["frames"] += 1
            writer.write("drained", user=user)
            writer.write("client-stop", user=user)
            orders.counted["drained"] += 1
            orders.ended.wait()
        except _GONE as error:
            orders.counted[type(error).__name__] += 1
            time.sleep(0.2)


class _Sloth:
    """What the slow phone has: each message once."""

    def __init__(self, writer: HistoryWriter, user: int) -> None:
        self._writer = writer
        self._user = user
        self._had: set[tuple[int, bytes, int]] = set()

    def take(self, phone: RawPhone, frame: Frame, *, acknowledge: bool) -> None:
        if frame[0] != verbs.DELIVER:
            return
        _, sender, stream, n, flags, _, body = frame
        key = {"sender": sender, "recipient": self._user, "stream": stream.hex(), "n": n}
        self._writer.write("deliver", **key, hash=body_hash(body))
        if not acknowledge:
            return
        if (sender, stream, n) not in self._had:
            self._had.add((sender, stream, n))
            self._writer.write("handover", **key, hash=body_hash(body), late=bool(flags & verbs.FLAG_LATE))
            self._writer.write("ack", **key)
        phone.send(verbs.ACK, sender, stream, n, n)


if __name__ == "__main__":
    app()
