"""A phone that goes on where a connection ends, as phones do."""

import time

from node.wire import verbs
from ops.bench.identities import device_key, number_of, stream_of
from ops.faults.raw import RawPhone

GIVE_UP_S = 60.0


class Persistent:
    """A sender who repeats what wasn't accepted, on as many connections as it takes.

    sender, recipient: users of the fleet, by their index.
    """

    def __init__(self, port: int, sender: int, recipient: int) -> None:
        self._port = port
        self._sender = sender
        self._recipient = recipient
        self._phone: RawPhone | None = None
        self.repeated = 0

    def send(self, n: int) -> None:
        until = time.monotonic() + GIVE_UP_S
        while True:
            try:
                phone = self._connected()
                phone.send(verbs.SEND, number_of(self._recipient), stream_of(self._sender), n, n, b"body")
                phone.expect(verbs.ACCEPTED)
            except OSError:
                assert time.monotonic() < until, f"message {n} was refused for too long"
                self.close()
                self.repeated += 1
            else:
                return

    def _connected(self) -> RawPhone:
        if self._phone is None:
            self._phone = RawPhone("127.0.0.1", self._port, tls=False)
            self._phone.login(number_of(self._sender), device_key(self._sender))
        return self._phone

    def close(self) -> None:
        if self._phone is not None:
            self._phone.socket.close()
            self._phone = None
