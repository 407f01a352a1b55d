"""A peer without our code: a ZeroMQ socket that says what a test wants it to."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import trio
import zmq

from replication.zeromq import words
from replication.zeromq.adapter import Socket
from replication.zeromq.keys import Keys
from replication.zeromq.settings import LinkSettings
from tests.replication.zeromq.cluster import GIVE_UP_S, Node

INSTANCE = b"rawpeer."


class RawPeer:
    """Connects to a node's entrance as whoever has `keys`; None: without encryption."""

    def __init__(self, node: Node, keys: Keys | None, group: str | None = None, **options: Any) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._node = node
        self._group = group
        raw = self._context.socket(zmq.DEALER)
        raw.setsockopt(zmq.LINGER, 0)
        raw.setsockopt(zmq.RECONNECT_IVL, -1)
        if keys is not None:
            raw.curve_publickey, raw.curve_secretkey = keys.public.encode(), keys.secret.encode()
            raw.curve_serverkey = node.keys.public.encode()
        for name, value in options.items():
            setattr(raw, name, value)
        address = node.member.address
        if group is not None:
            place = node.links._entrances[group].place
            beside = address.beside(place)
            assert beside is not None
            address = beside
        raw.connect(address.endpoint())
        self.socket = Socket(raw)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
        self._context.term()

    def say(self, kind: int, *rest: Any) -> None:
        assert self.socket.send_nowait(words.say(kind, *rest))

    def hello(self, attempt: int = 1, **changed: Any) -> None:
        """Greet, as it should be done but for what is changed."""
        said = {
            "version": words.VERSION,
            "to": self._node.id,
            "group": self._group,
            "instance": INSTANCE,
            "attempt": attempt,
            "most": LinkSettings().message_bytes_max,
            **changed,
        }
        self.say(words.HELLO, *said.values())

    async def answer(self) -> list[Any]:
        """The next word of the node."""
        with trio.fail_after(GIVE_UP_S):
            (frames,) = await self.socket.receive(1)
        return words.read(frames[0].bytes)

    async def welcome(self, attempt: int = 1) -> None:
        """Be listened to."""
        self.hello(attempt)
        assert (await self.answer())[:2] == [words.WELCOME, words.VERSION]
