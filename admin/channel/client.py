"""The other side of the channel: asks one node for commands, one after the other. For terminals, scripts and tests.

Blocking, for a thread of its own or a process that does nothing else; it must never run in a node's loop.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import attrs
import zmq

from admin.channel import messages
from admin.channel.errors import NotAllowed, NotReached, PlaceUnusable, Refused
from admin.channel.folder import Folder, data_in
from admin.channel.place import Endpoint, Place
from admin.channel.settings import ANSWER_BYTES_MAX
from replication.zeromq.keys import Keys, is_public_key, read_key_file
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import ENDS, FAILED_HANDSHAKES, UNTOLD, Sockets, event_of

CONNECT_S: Final = 5.0
SILENCE_S_MAX: Final = 86_400.0
_LOOK_MS: Final = 250
_UP: Final = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)


@attrs.frozen
class Target:
    """A node to be operated. keys: those of whoever asks. node_key: the node's public key."""

    place: Place
    keys: Keys
    node_key: str

    @classmethod
    def find(cls, node: str, key_file: Path | None = None, node_key: str = "") -> Self:
        """The node with this data directory, or at this address.

        Args:
            node: a directory, its own or the one around it; or host:port, [IPv6]:port, ipc:///path, which need the
                next two.
            key_file: whose secret key; the directory's own by default.
            node_key: the node's public key.

        Raises:
            NotReached, NotAllowed, PlaceUnusable, KeyFileExposed, KeyFileDamaged
            OSError: a file can't be read.
        """
        folder = Folder.of(data_in(Path(node)))
        if folder.path.is_dir():
            keys = _keys(key_file or folder.local_key)
            try:
                place = Place.parse(folder.address.read_text("utf-8").strip())
            except FileNotFoundError:
                raise NotReached(f"no node runs on {node}, or it runs without its channel") from None
            return cls(place, keys, node_key or folder.node_public.read_text("utf-8").strip())
        if Path(node).is_dir():
            raise NotReached(f"{node} has no folder admin: no node with a channel has run on it")
        try:
            place = Place.parse(node)
        except PlaceUnusable:
            raise NotReached(f"{node!r} is neither a data directory nor an address") from None
        if key_file is None or not is_public_key(node_key):
            raise NotAllowed(
                "a node that is named by its address takes a key, and is known by its own",
                "give --key FILE, and --node-key with what is in the node's admin/node.pub",
            )
        return cls(place, _keys(key_file), node_key)


def _keys(path: Path) -> Keys:
    try:
        return read_key_file(path)
    except FileNotFoundError:
        raise NotAllowed(f"there is no key in {path}", "name one with --key FILE") from None


class Client:
    """A connection to one node. A context manager; one request at a time."""

    def __init__(self, target: Target) -> None:
        """Connects; whether anybody is there shows with the first request. Raises PlaceUnusable."""
        self._target = target
        self._endpoint = Endpoint(target.place)
        self._sockets = Sockets(target.keys, LinkSettings())
        self._sockets.start()
        self._raw = self._sockets.dealer(self._endpoint.address, target.node_key)
        self._raw.setsockopt(zmq.MAXMSGSIZE, ANSWER_BYTES_MAX)
        self._raw.setsockopt(zmq.IMMEDIATE, 0)
        self._monitor = self._raw.get_monitor_socket(ENDS | FAILED_HANDSHAKES | _UP, "inproc://admin-client")
        self._raw.connect(self._endpoint.address.endpoint())
        self._poller = zmq.Poller()
        for one in (self._raw, self._monitor):
            self._poller.register(one, zmq.POLLIN)
        self._up = False
        self._last = 0

    def close(self) -> None:
        """At once. Twice is once."""
        if not self._raw.closed:
            self._raw.disable_monitor()
            self._monitor.close(linger=0)
            self._sockets.end()
            self._endpoint.close()

    def is_lost(self) -> bool:
        """Whether the connection has ended since the last request; then a new client is needed."""
        lost = False
        while self._monitor.poll(0):
            event = event_of(self._monitor.recv_multipart()[0])
            self._up = self._up or bool(event & _UP)
            lost = lost or bool(event & (ENDS | FAILED_HANDSHAKES))
        return lost

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(
        self,
        words: Sequence[str],
        item: Callable[[Any], None] | None = None,
        *,
        seconds_max: float = SILENCE_S_MAX,
        stop: Callable[[], bool] | None = None,
    ) -> Any:
        """The result of a command.

        Args:
            item: called with each line that the command tells before its result.
            seconds_max: silence after which the node is given up.
            stop: asked now and then; once it says True, the node is told to end the command.

        Raises:
            Refused: the node's words why not.
            NotReached, NotAllowed
            Malformed: the request is too large, or the answer not one.
        """
        self._last += 1
        number = self._last
        self._send(messages.Request(messages.VERSION, number, tuple(words)))
        try:
            for answer in self._answers(number, seconds_max, stop):
                if answer.kind == "done":
                    return answer.data
                if answer.kind == "error":
                    raise Refused(answer.text, other_node=answer.other_node)
                if item is not None:
                    item(answer.data)
        except KeyboardInterrupt:
            self._send(messages.Request(messages.VERSION, number, cancel=True))
            raise
        raise NotReached("the node ended the conversation")  # pragma: no cover - _answers ends with an error

    def _send(self, request: messages.Request) -> None:
        try:
            self._raw.send(messages.write_request(request), zmq.NOBLOCK)
        except zmq.Again:
            raise NotReached(f"{self._target.place} takes no request") from None

    def _answers(
        self, number: int, seconds_max: float, stop: Callable[[], bool] | None
    ) -> Iterator[messages.Answer]:
        heard = time.monotonic()
        stopped = False
        while True:
            if stop is not None and not stopped and stop():
                stopped = True
                self._send(messages.Request(messages.VERSION, number, cancel=True))
            ready = dict(self._poller.poll(_LOOK_MS))
            if self._raw in ready:
                heard = time.monotonic()
                answer = messages.read_answer(self._raw.recv(zmq.NOBLOCK))
                if answer.id in (number, messages.NO_ID):
                    yield answer
                continue
            if self._monitor in ready:
                self._note(event_of(self._monitor.recv_multipart()[0]))
            limit = seconds_max if self._up else min(seconds_max, CONNECT_S)
            if time.monotonic() - heard > limit:
                raise NotReached(f"{self._target.place} has not answered for {limit:g} s")

    def _note(self, event: int) -> None:
        if event & _UP:
            self._up = True
        elif event & FAILED_HANDSHAKES:
            still = ", or it stands still" if event & UNTOLD else ""
            raise NotAllowed(
                f"{self._target.place} refuses this key, or has another one than it was known by{still}"
            )
        elif self._up:
            raise NotReached(f"{self._target.place} has ended the connection")
        else:
            raise NotReached(f"nobody listens on {self._target.place}, or it hung up on this key")
