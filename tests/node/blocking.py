"""A connection to a node in another thread or process that speaks frames and waits for the answers.

Every frame of either side goes through the schema's checkers.
"""

import hashlib
import socket
import ssl
from typing import Self

from node.wire import verbs
from node.wire.codec import Decoder, check_client, check_server, decode_server, encode
from node.wire.limits import FRAME_MAX
from tests.node.live import Device, Frame

GIVE_UP_S = 20.0


class Wire:
    """A blocking connection that speaks frames."""

    def __init__(self, port: int, *, tls: bool = False) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), GIVE_UP_S)
        self.certificate = b""
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            wrapped = context.wrap_socket(self.sock)
            self.sock = wrapped
            self.certificate = hashlib.sha256(wrapped.getpeercert(binary_form=True) or b"").digest()
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self._frames: list[Frame] = []
        self.nonce = b""
        self.reset = False

    def send(self, *frames: Frame) -> None:
        for frame in frames:
            check_client(frame)
        self.sock.sendall(b"".join(map(encode, frames)))

    def next(self, verb: int | None = None) -> Frame:
        """The next frame; of this verb, if one is named."""
        while True:
            while not self._frames:
                data = self.sock.recv(FRAME_MAX)
                assert data, "the node has closed the connection"
                self._frames += self._decoder.feed(data)
            frame = self._frames.pop(0)
            check_server(frame)
            if verb in (None, frame[0]):
                return frame

    def hello(self) -> Self:
        self.send((verbs.HELLO, 1, 1, (), "raw"))
        self.nonce = self.next(verbs.HELLO)[3]
        return self

    def login(self, device: Device) -> Frame:
        self.send(device.login(self.nonce, self.certificate))
        return self.next(verbs.LOGIN)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def end(self) -> list[Frame]:
        """What comes until the node closes the connection."""
        frames, self._frames = self._frames, []
        try:
            while data := self.sock.recv(FRAME_MAX):
                frames += self._decoder.feed(data)
        except ConnectionResetError:
            self.reset = True
        for frame in frames:
            check_server(frame)
        return frames
