"""A handler for the hub's tests: echoes four-byte-length frames, and notes everything it is told."""

from __future__ import annotations

from node.hub.connection import Connection, Reason
from node.hub.listener import Listener

QUIET_S = 20


class Echo(Connection):
    """A connection with a list of the frames it got."""

    __slots__ = ("frames", "opened")

    def __init__(self, fd: int, address: str) -> None:
        super().__init__(fd, address)
        self.frames: list[bytes] = []
        self.opened = False


class EchoHandler:
    """Frames are a length (4 bytes, big-endian) and that many bytes; each comes back as it is."""

    remainder_max = 1 << 20

    def __init__(self) -> None:
        self.made: list[Echo] = []
        self.open: list[Echo] = []
        self.ends: list[tuple[Echo, Reason]] = []
        self.failures: list[Exception] = []
        self.asked: list[Echo] = []
        self.passes = 0
        self.wake: float | None = None
        self.patience_s = 60
        self.refused: list[str] = []
        self.farewells: list[int] = []
        self.answer = True

    def make(self, fd: int, address: str, listener: Listener) -> Echo:
        made = Echo(fd, address)
        self.made.append(made)
        return made

    def opened(self, connection: Echo) -> None:
        connection.opened = True
        self.open.append(connection)
        connection.expect(self.patience_s)

    def received(self, connection: Echo, data: bytes) -> int:
        used = 0
        while len(data) - used >= 4:
            end = used + 4 + int.from_bytes(data[used : used + 4], "big")
            if end > len(data):
                break
            self.frame(connection, data[used:end])
            used = end
        return used

    def frame(self, connection: Echo, frame: bytes) -> None:
        connection.frames.append(frame)
        if self.answer:
            connection.write(frame)

    def closed(self, connection: Echo, reason: Reason) -> None:
        self.open.remove(connection)
        self.ends.append((connection, reason))

    def quiet(self, connection: Echo) -> int:
        self.asked.append(connection)
        return QUIET_S

    def failed(self, connection: Echo, error: Exception) -> None:
        self.failures.append(error)
        connection.write(b"failed")

    def begin_pass(self) -> None:
        self.passes += 1

    def end_pass(self) -> None:
        pass

    def wake_at(self) -> float | None:
        return self.wake

    def refusal(self, reason: str) -> bytes:
        self.refused.append(reason)
        return b"refused " + reason.encode()

    def bye(self, connection: Echo, retry_ms: int) -> None:
        self.farewells.append(retry_ms)
        connection.write(b"bye")


def framed(body: bytes) -> bytes:
    """`body` as a frame."""
    return len(body).to_bytes(4, "big") + body
