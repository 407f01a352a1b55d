"""Questions of one group between nodes: to the one that serves a partition, and from others to this one.

`forwarding` says what they are; here they are sent, awaited, done and answered. It must never know why something is
asked, nor whether it is to be asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import cbor2

from replication import forwarding
from replication.core.errors import WritersWait
from replication.core.state import ReplicaState
from replication.errors import NotServed
from replication.forwarding import ANSWER, Answered, Forwarding
from replication.gathering import Done
from replication.naming import key_of, unnamed
from replication.outcome import Waiter, Written
from replication.zeromq.errors import MessageTooLarge
from store.group import OpenGroup
from store.record import encode_value
from store.writes import Write

ASK_MS = 5_000
"""How long an answer of another node is waited for, beside the time for bytes (`forwarding.ASKED_BYTES_S`)."""

Send = Callable[[bytes, Sequence[Any]], bool]


class Asked(Protocol):
    """What others may ask of a group here. Whatever is raised, they are told."""

    group: OpenGroup

    def require_served(self, p: Any) -> None:
        """Raises NotServed, NotOnePartition."""
        ...

    def take(self, p: int, writes: Sequence[Write], done: Done, *, settled: bool) -> None:
        """Write to a partition."""
        ...

    def run_called(self, p: int, name: str, arguments: bytes, done: Callable[..., None]) -> None:
        """Run what is registered under a name."""
        ...


class Asking:
    """Of one group. `forwarding`: what was asked and isn't answered."""

    __slots__ = ("_name", "_now", "_send", "_state", "forwarding")

    def __init__(self, name: str, state: ReplicaState, send: Send, now: Callable[[], int]) -> None:
        self.forwarding = Forwarding()
        self._name = name
        self._state = state
        self._send = send
        self._now = now

    def primary(self, p: int) -> bytes | None:
        """Who takes what is asked about a partition, as far as this node knows."""
        claim = self._state.parts[p].claim
        return None if claim is None else claim.primary

    def require_room(self, p: int) -> bytes:
        """Who would be asked about a partition.

        Raises:
            NotServed, WritersWait: nobody can be now.
        """
        peer = self.primary(p)
        if peer is None or peer == self._state.me:
            raise NotServed(f"partition {p} of group {self._name!r} is served by nobody that is known now")
        if not self.forwarding.has_room(peer):
            raise WritersWait(f"node {peer.hex()} has many questions to answer, or many bytes")
        return peer

    def forward(self, p: int, question: tuple[Any, ...], size: int, answered: Answered) -> None:
        """Send a question of about `size` bytes to a partition's primary.

        Raises:
            NotServed, WritersWait, MessageTooLarge: it was not sent.
        """
        peer = self.require_room(p)
        message = self.forwarding.ask(peer, p, question, answered, self._now(), ASK_MS, size)
        try:
            sent = self._send(peer, message)
        except MessageTooLarge as error:
            self.forwarding.forget(message[1])
            raise MessageTooLarge(
                f"it is too large to be forwarded to node {peer.hex()}, primary of partition {p}: {error.cause}",
                "write it in parts, or on the primary itself; nothing was changed",
            ) from None
        if not sent:
            self.forwarding.forget(message[1])
            raise NotServed(
                f"node {peer.hex()}, primary of partition {p}, can't be reached, or its link has no room"
            )

    async def ask(self, p: int, question: tuple[Any, ...], size: int = 0) -> Written:
        """As `forward`, and wait for the answer. Raises that, too, if it is an error."""
        waiter = Waiter()

        def answered(copies: int, code: int, text: str, value: Any) -> None:
            waiter.ran(copies, forwarding.error_of(code, text), None if value is None else cbor2.loads(value))

        self.forward(p, question, size, answered)
        return await waiter.wait()

    def asked(self, peer: bytes, message: Sequence[Any], here: Asked) -> None:
        """Do what another node asks for, and answer."""
        if len(message) < 6:
            return  # of no release that this one knows
        _, number, p, what, *rest = message

        def answer(copies: int, error: Exception | None, value: Any = None) -> None:
            """value: as CBOR"""
            self._send(peer, (ANSWER, number, copies, *forwarding.told(error), value))

        try:
            here.require_served(p)
            if what == forwarding.WRITES:
                writes = [unnamed(here.group, write) for write in rest[0]]
                here.take(p, writes, answer, settled=bool(rest[1]))
            elif what == forwarding.CALL:
                here.run_called(p, rest[0], rest[1], answer)
            elif what == forwarding.READ:
                key = key_of(rest[1])
                here.group.read(
                    lambda reader: encode_value(reader.get(rest[0], key)),
                    lambda result: answer(1, result.error, result.value),  # type: ignore[arg-type]
                )
            else:
                answer(
                    0, forwarding.Refused(f"this node's release doesn't know what is asked for: {what!r:.20}")
                )
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked is told
            answer(0, error)
