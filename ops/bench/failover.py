"""How long phones are without service when a node dies: pairs of raw phones on the nodes that live, each with one
message under way at a time, to users whose primary is the node that is killed.

This module must never know how a failover works.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field, frozen

from node.tables import GROUPS, STORE_DIRECTORY, USERS
from node.wire import verbs
from node.wire.codec import Decoder, decode_server, encode
from node.wire.limits import FRAME_MAX
from node.wire.login import login_message
from ops.bench.identities import device_key, number_of, stream_of
from ops.bench.session import LoadError
from replication.claim import Claim
from replication.identity import read_identity
from replication.placement import Placement
from replication.tables import CLUSTER, REPLICA, remembered
from store.store import Store

PAUSE_S: Final = 0.05
"""Between an acceptance and the next message."""
BUSY_S_MAX: Final = 0.1
"""A phone that is told to come back later does so at least as soon: what is measured is the service."""
BEFORE_S: Final = 2.0
AFTER_S: Final = 6.0
LOGIN_S_MAX: Final = 20.0


@frozen
class Pair:
    """sender, recipient: users. ports: of the nodes that they are connected to. partition: the recipient's."""

    sender: int
    recipient: int
    ports: tuple[int, int]
    partition: int


@define
class Times:
    """When messages of a pair were accepted, and when they were delivered, by the monotonic clock."""

    accepted: list[float] = field(factory=list)
    delivered: list[float] = field(factory=list)


def primaries(data: Path) -> tuple[Callable[[int], int], dict[int, bytes]]:
    """(user → partition, partition → its primary), as a node's disk has it, also while it runs."""
    with Store.open(data / STORE_DIRECTORY, GROUPS, read_only=True, beside=True, committer="inline") as store:
        identity = read_identity(store.group(CLUSTER.name))
        assert identity is not None
        rows = remembered(store.group(USERS.name).table(REPLICA.name))
        claims = {key[1]: Claim.from_row(value).primary for key, value in rows if key[0] == "claim"}
    placement = Placement(identity.secret, identity.partitions)
    return placement.partition_of, claims


def pairs_of(
    users: int,
    partition_of: Callable[[int], int],
    claims: Mapping[int, bytes],
    victim: bytes,
    ports: Sequence[int],
    most: int,
) -> list[Pair]:
    """Recipients of as many partitions of the victim, one each, and senders who aren't among them."""
    found: list[Pair] = []
    used: set[int] = set()
    for user in range(users // 2, users):
        partition = partition_of(number_of(user))
        if claims.get(partition) == victim and partition not in used and len(found) < most:
            used.add(partition)
            place = len(found)
            at = (ports[place % len(ports)], ports[(place + 1) % len(ports)])
            found.append(Pair(place, user, at, partition))
    return found


def measure(pairs: Sequence[Pair], kill: Callable[[], None]) -> tuple[list[float], list[float]]:
    """Kill, and see: (seconds until the next acceptance, seconds until the next delivery), of each pair.

    Raises:
        LoadError: a phone was thrown out, or a pair never went on.
    """
    return trio.run(_measure, pairs, kill)


async def _measure(pairs: Sequence[Pair], kill: Callable[[], None]) -> tuple[list[float], list[float]]:
    times = {pair.recipient: Times() for pair in pairs}
    async with trio.open_nursery() as nursery:
        with trio.fail_after(LOGIN_S_MAX):
            for pair in pairs:
                await nursery.start(_receive, pair, times[pair.recipient])
                await nursery.start(_send, pair, times[pair.recipient])
        await trio.sleep(BEFORE_S)
        killed = time.monotonic()
        await trio.to_thread.run_sync(kill)
        await trio.sleep(AFTER_S)
        nursery.cancel_scope.cancel()
    return (
        [_first(times[pair.recipient].accepted, killed, "accepted") for pair in pairs],
        [_first(times[pair.recipient].delivered, killed, "delivered") for pair in pairs],
    )


def _first(moments: Sequence[float], killed: float, what: str) -> float:
    """What comes while the signal is on its way comes from the one that dies."""
    later = [at - killed for at in moments if at > killed + PAUSE_S]
    if not later:
        raise LoadError(f"nothing was {what} within {AFTER_S:.0f} s of the kill")
    return later[0]


class _Phone:
    """A connection that is logged in."""

    def __init__(self, user: int, stream: trio.SocketStream) -> None:
        self.user = user
        self.stream = stream
        self._decoder = Decoder(decode_server, FRAME_MAX)

    @classmethod
    async def login(cls, user: int, port: int) -> "_Phone":
        phone = cls(user, await trio.open_tcp_stream("127.0.0.1", port))
        await phone.say((verbs.HELLO, 1, 1, (), "bench"))
        nonce = (await phone.next(verbs.HELLO))[3]
        signature = device_key(user).sign(login_message(number_of(user), nonce, b""))
        await phone.say((verbs.LOGIN, number_of(user), signature))
        await phone.next(verbs.LOGIN)
        return phone

    async def say(self, frame: tuple[Any, ...]) -> None:
        await self.stream.send_all(encode(frame))

    async def hear(self) -> list[tuple[Any, ...]]:
        data = await self.stream.receive_some(FRAME_MAX)
        if not data:
            raise LoadError(f"user {self.user}: the server closed the session")
        frames = self._decoder.feed(bytes(data))
        for frame in frames:
            if frame[0] == verbs.PING and not frame[1]:
                await self.say((verbs.PING, True, frame[2]))
            elif frame[0] in (verbs.ERROR, verbs.BYE):
                raise LoadError(f"user {self.user}: {frame[:3]}")
        return frames

    async def next(self, verb: int) -> tuple[Any, ...]:
        while True:
            for frame in await self.hear():
                if frame[0] == verb:
                    return frame


async def _receive(
    pair: Pair, times: Times, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    phone = await _Phone.login(pair.recipient, pair.ports[1])
    task_status.started()
    while True:
        for frame in await phone.hear():
            if frame[0] == verbs.DELIVER:
                times.delivered.append(time.monotonic())
                await phone.say((verbs.ACK, frame[1], frame[2], frame[3], frame[3]))


async def _send(
    pair: Pair, times: Times, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    phone = await _Phone.login(pair.sender, pair.ports[0])
    task_status.started()
    to, stream, n = number_of(pair.recipient), stream_of(pair.sender), 0
    while True:
        n += 1
        send = partial(phone.say, (verbs.SEND, to, stream, n, n, b"%24d" % n))
        await send()
        while not await _is_accepted(phone, to, n, send):
            pass
        times.accepted.append(time.monotonic())
        await trio.sleep(PAUSE_S)


async def _is_accepted(phone: _Phone, to: int, n: int, again: Callable[[], Any]) -> bool:
    """Hear once. A message that is to come again does so; receipts are confirmed."""
    accepted = False
    for frame in await phone.hear():
        if frame[0] == verbs.ACCEPTED and frame[1] == to and frame[3] <= n <= frame[4]:
            accepted = True
        elif frame[0] == verbs.BUSY:
            await trio.sleep(min(frame[4] / 1000, BUSY_S_MAX))
            await again()
        elif frame[0] == verbs.GAP:
            await again()
        elif frame[0] == verbs.RECEIPT:
            await phone.say((verbs.CONFIRM, *frame[1:]))
    return accepted
