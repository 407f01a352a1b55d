"""A process of well-meaning clients: each sends to the others, acknowledges what it is handed, and writes it all down.

    python -m ops.faults.worker ASSIGNMENT.json

It uses the public client library as an app would. Orders come on standard input, answers go to standard output, a line
each: `load RATE` (messages a second, all users together), `hush`, `status`, `drained`; at the end of its input it
closes its clients and ends. It must never touch what the library keeps on disk.
"""

from __future__ import annotations

import json
import os
import random
import sys
from pathlib import Path
from typing import Any, Final

import msgspec
import trio
from attrs import define

from client.client import Client
from client.driver import Status
from client.errors import ClientError, OutboxFull
from client.mail import Message
from client.settings import Settings
from client.trust import FirstUse, Plain
from ops.faults import recorder
from ops.faults.pins import mark, wait_for_pin
from ops.faults.recorder import RECORDER, Recorder
from ops.history.format import body_hash
from ops.history.writer import HistoryWriter

OUTBOX_MAX: Final = 300
"""A user with more messages unaccepted than this waits before it sends the next."""
PAUSE_SECONDS: Final = 0.05
SIZES: Final = ((0.75, 200), (0.95, 3_000), (1.0, 60_000))
"""Share of messages → the most bytes of their bodies."""
SETTINGS: Final = Settings(
    backoff_min=0.05,
    backoff_max=1.0,
    cut_spread=1.0,
    connect_timeout=5.0,
    answer_timeout=5.0,
    ping_after=3.0,
    ping_timeout=3.0,
    request_timeout=30.0,
    send_timeout=10.0,
    move_spread=1.0,
    move_pause=5.0,
    agent="waystation-faults",
)


class Assignment(msgspec.Struct, forbid_unknown_fields=True):
    """What the crowd wants this process to be. library_marks: a message is late if the library says so to its app, and
    not only if the node did: after a split no node knows what another one has handed over."""

    process: str
    server: str
    tls: bool
    users: list[int]
    peers: list[int]
    states: str
    history: str
    pins: str
    seed: int
    library_marks: bool = False


@define
class Load:
    """How much is to be sent, for the users of this process to look at."""

    rate: float = 0.0


class User:
    """One device: its client, its sending and its receiving."""

    def __init__(self, assignment: Assignment, user: int, history: HistoryWriter, load: Load) -> None:
        self.user = user
        self.recorder = Recorder(history, user)
        self.client: Client | None = None
        self.handed = 0
        self.problem = ""
        self._assignment = assignment
        self._history = history
        self._load = load
        self._rng = random.Random(f"{assignment.seed} {assignment.process} {user}")
        self._peers = [peer for peer in assignment.peers if peer != user]

    async def run(self) -> None:
        """For ever; cancelled, it closes its client as an app would."""
        assignment = self._assignment
        RECORDER.set(self.recorder)
        self._history.write("client-start", user=self.user)
        path = Path(assignment.states) / f"{self.user}.state"
        trust = FirstUse() if assignment.tls else Plain()
        async with Client.open(path, assignment.server, tls=trust, settings=SETTINGS) as client:
            self.client = client
            while client.number is None:
                await self._register(client)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send_all, client)
                nursery.start_soon(self._receive_all, client)
                nursery.start_soon(self._hear_all, client)

    def status(self) -> dict[str, Any]:
        counted = self.client.statistics() if self.client else {}
        online = self.client is not None and self.client.status is Status.ONLINE
        problem = self.problem or (str(self.client.problem) if self.client and self.client.problem else "")
        return {
            "online": online, "at": self.recorder.at, "handed": self.handed, "problem": problem, **counted,
        }  # fmt: skip

    async def _register(self, client: Client) -> None:
        pins = Path(self._assignment.pins)
        after = mark(pins)
        try:
            await client.request_pin(self.user)
            await client.register(await wait_for_pin(pins, self.user, after, 5.0))
        except (ClientError, TimeoutError) as error:  # the node may be down just now
            self.problem = f"registering: {error}"
            await trio.sleep(1.0)
        else:
            self.problem = ""

    async def _send_all(self, client: Client) -> None:
        number = 0
        while True:
            rate = self._load.rate / len(self._assignment.users)
            if rate <= 0 or client.statistics()["outbox"] >= OUTBOX_MAX:
                await trio.sleep(PAUSE_SECONDS)
                continue
            number += 1
            await trio.sleep(self._rng.expovariate(rate))
            recipient, body = self._rng.choice(self._peers), self._body(number)
            self._history.write("send-intent", sender=self.user, recipient=recipient, hash=body_hash(body))
            try:
                await client.send(recipient, body)
            except OutboxFull:
                await trio.sleep(PAUSE_SECONDS)

    def _body(self, number: int) -> bytes:
        share = self._rng.random()
        size = self._rng.randint(0, next(most for limit, most in SIZES if share <= limit))
        return f"{self._assignment.process} {self.user} {number} ".encode() + self._rng.randbytes(size)

    async def _receive_all(self, client: Client) -> None:
        async for message in client.messages():
            await self._take(message)

    async def _take(self, message: Message) -> None:
        key = {
            "sender": message.sender,
            "recipient": self.user,
            "stream": message.stream.hex(),
            "n": message.number,
        }
        late = self.recorder.is_late(message.sender, message.stream, message.number)
        if self._assignment.library_marks:
            late = message.late
        self._history.write("handover", **key, hash=body_hash(message.body), late=late)
        self.handed += 1
        if self._rng.random() < 0.05:
            await trio.sleep(self._rng.random() * 0.05)
        await message.ack()
        self._history.write("ack", **key)
        if self._rng.random() < 0.3:
            self._history.write("read", **key)
            await message.mark_read()

    async def _hear_all(self, client: Client) -> None:
        async for _ in client.receipts():
            pass  # the recorder has seen it on the wire


async def obey(users: list[User], load: Load, history: HistoryWriter) -> None:
    """Orders of standard input, until its end."""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as orders:
        rest = b""
        async for data in orders:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                _obey_one(line.decode().split(), users, load, history)


def _obey_one(words: list[str], users: list[User], load: Load, history: HistoryWriter) -> None:
    match words:
        case ["load", rate]:
            load.rate = float(rate)
        case ["hush"]:
            load.rate = 0.0
        case ["drained"]:
            for user in users:
                history.write("drained", user=user.user)
        case ["status"]:
            pass
        case _:
            raise ValueError(f"no such order: {words}")
    status = {str(user.user): user.status() for user in users}
    received = sum(user.recorder.received for user in users)
    print(json.dumps({"users": status, "received": received}), flush=True)


async def work(assignment: Assignment) -> None:
    history = HistoryWriter(Path(assignment.history), assignment.process)
    load = Load()
    users = [User(assignment, user, history, load) for user in assignment.users]
    async with trio.open_nursery() as nursery:
        for user in users:
            nursery.start_soon(user.run)
        await obey(users, load, history)
        nursery.cancel_scope.cancel()
    for user in users:
        history.write("client-stop", user=user.user)
    history.close()


def main() -> None:
    recorder.install()
    assignment = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Assignment)
    trio.run(work, assignment)


if __name__ == "__main__":
    main()
