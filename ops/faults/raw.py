"""A phone without the library: blocking, one frame at a time, able to do everything wrong.

For hostile clients and for tests of what is on the wire. It must never be used by anything that means well.
"""

from __future__ import annotations

import hashlib
import select
import socket
import ssl
import time
from types import TracebackType
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.wire import verbs
from node.wire.codec import Decoder, Frame, decode_server, encode
from node.wire.limits import FRAME_MAX
from node.wire.login import login_message

AGENT: Final = "waystation-faults"


class RawPhone:
    """One connection. All waiting is bounded by `seconds_max`.

    Raises (all methods):
        OSError, ssl.SSLError: the connection is gone. TimeoutError: nothing came.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: bool = True,
        source: str | None = None,
        seconds_max: float = 10.0,
        receive_buffer: int | None = None,
    ) -> None:
        plain = socket.socket()
        try:
            if receive_buffer is not None:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if source is not None:
                plain.bind((source, 0))
            plain.settimeout(seconds_max)
            plain.connect((host, port))
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket: socket.socket = _wrapped(plain) if tls else plain
        except BaseException:
            plain.close()
            raise
        self._seconds_max = seconds_max
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self._frames: list[Frame] = []
        self.nonce = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    @property
    def certificate_sha256(self) -> bytes:
        """Of the server's certificate; empty on plain TCP."""
        if not isinstance(self.socket, ssl.SSLSocket):
            return b""
        certificate = self.socket.getpeercert(binary_form=True)
        assert certificate is not None
        return hashlib.sha256(certificate).digest()

    def send(self, *frame: Any) -> None:
        """One frame, checked by nobody."""
        self.socket.sendall(encode(frame))

    def receive(self) -> Frame:
        """The next frame. Raises ConnectionError at the end of the stream."""
        while not self._frames:
            data = self.socket.recv(65_536)
            if not data:
                raise ConnectionError("the node closed the connection")
            self._frames = self._decoder.feed(data)
        return self._frames.pop(0)

    def receive_some(self, count: int) -> list[Frame]:
        """Read at most `count` bytes, and give the frames that they complete."""
        data = self.socket.recv(count)
        if not data:
            raise ConnectionError("the node closed the connection")
        self._frames += self._decoder.feed(data)
        frames, self._frames = self._frames, []
        return frames

    def has_more(self, seconds: float) -> bool:
        """Whether anything comes within so many seconds."""
        if self._frames or (isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()):
            return True
        return bool(select.select([self.socket], [], [], seconds)[0])

    def expect(self, verb: int) -> Frame:
        """The next frame with this verb; others are thrown away."""
        end = time.monotonic() + self._seconds_max
        while time.monotonic() < end:
            frame = self.receive()
            if frame[0] == verb:
                return frame
            if frame[0] in (verbs.ERROR, verbs.BYE):
                raise ConnectionError(f"the node said {frame}")
        raise TimeoutError(f"no frame with verb {verb} in {self._seconds_max} s")

    def hello(self) -> Frame:
        """Say hello; the answer."""
        self.send(verbs.HELLO, 1, 1, [], AGENT)
        answer = self.expect(verbs.HELLO)
        self.nonce = answer[3]
        return answer

    def sign(self, user: int, key: Ed25519PrivateKey) -> bytes:
        """What logs this user in on this connection."""
        return key.sign(login_message(user, self.nonce, self.certificate_sha256))

    def login(self, user: int, key: Ed25519PrivateKey) -> Frame:
        """Say hello and log in; the welcome."""
        self.hello()
        self.send(verbs.LOGIN, user, self.sign(user, key))
        return self.expect(verbs.LOGIN)


def _wrapped(plain: socket.socket) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    # The login binds to the certificate that was seen; no more is wanted here.
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(plain)
