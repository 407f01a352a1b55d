"""What a client did, as history events: taken where its frames pass, and where its app takes messages.

The client library isn't changed for it. `install()` puts `RecordingLink` in the place of the library's `Link`, in this
process only: what arrives is written down before the library sees it (so before it can acknowledge), what leaves
is written down after the library made it durable and before the socket has it. This module must never write down a
body, and never change a frame.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any, Final

from anyio.abc import SocketAttribute

import client.link
from node.wire import errors, verbs
from ops.history.format import body_hash
from ops.history.writer import HistoryWriter

RECORDER: ContextVar[Recorder] = ContextVar("recorder")
"""Whose link is opened next: set it before the client is opened, in the task that opens it."""

CONNECTED: Final = "connected to "
"""What a note about a connection begins with."""

_AGAIN_LATER: Final = frozenset({errors.RATE_LIMITED, errors.OVERLOADED})
"""About one message these are no refusals but another `busy`: the library sends it again."""


class Recorder:
    """The history of one user in this process."""

    def __init__(self, history: HistoryWriter, user: int) -> None:
        self.history = history
        self.user = user
        self.received = 0  # frames of mail
        self.at = ""  # where the connection that was made last goes
        self._late: set[tuple[int, bytes, int]] = set()

    def connected(self, at: str) -> None:
        """A connection was made anew."""
        self.at = at
        self.history.write("note", user=self.user, note=f"{CONNECTED}{at}")

    def outgoing(self, frame: tuple[Any, ...]) -> None:
        """A frame is about to be written."""
        verb = frame[0]
        if verb == verbs.SEND:
            _, recipient, stream, n, _, body = frame
            self._write("sent", self.user, recipient, stream, n, hash=body_hash(body))
        elif verb == verbs.SKIP:
            self._write("skipped", self.user, frame[1], frame[2], frame[3])

    def incoming(self, frame: tuple[Any, ...]) -> None:
        """A frame arrived, and nobody has acted on it."""
        verb = frame[0]
        if verb == verbs.DELIVER:
            _, sender, stream, n, flags, _, body = frame
            late = bool(flags & verbs.FLAG_LATE)
            if late:
                self._late.add((sender, stream, n))
            self._write("deliver", sender, self.user, stream, n, hash=body_hash(body), late=late)
        elif verb == verbs.ACCEPTED:
            _, recipient, stream, first, last, how = frame
            self._write("accepted", self.user, recipient, stream, first, last=last, how=how)
        elif verb == verbs.RECEIPT:
            _, recipient, stream, kind, first, last = frame
            self._write("receipt", self.user, recipient, stream, first, last=last, kind=kind)
        elif verb == verbs.BUSY:
            self._write("busy", self.user, *frame[1:4])
        elif verb == verbs.ERROR and frame[4] is not None:
            about = (self.user, *frame[4])
            if frame[1] in _AGAIN_LATER:
                self._write("busy", *about, code=frame[1])
            else:
                self._write("refused", *about, code=frame[1])
        else:
            return
        self.received += 1

    def is_late(self, sender: int, stream: bytes, n: int) -> bool:
        """Whether the node marked this one as late. What the library thinks of it doesn't excuse a wrong order."""
        return (sender, stream, n) in self._late

    def _write(self, event: str, sender: int, recipient: int, stream: bytes, n: int, **more: Any) -> None:
        self.history.write(event, sender=sender, recipient=recipient, stream=stream.hex(), n=n, **more)


class RecordingLink(client.link.Link):
    """A link that tells a recorder of every frame."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._recorder = RECORDER.get()
        host, port = tuple(self._stream.extra(SocketAttribute.remote_address))[:2]  # noqa: S610 - anyio's, not Django's
        self._recorder.connected(f"{host}:{port}")

    def say(self, frames: list[tuple[Any, ...]]) -> None:
        for frame in frames:
            self._recorder.outgoing(frame)
        super().say(frames)

    async def read(self) -> list[tuple[Any, ...]]:
        frames = await super().read()
        for frame in frames:
            self._recorder.incoming(frame)
        return frames


def install() -> None:
    """From now on this process's clients are recorded."""
    client.link.Link = RecordingLink  # type: ignore[misc]
