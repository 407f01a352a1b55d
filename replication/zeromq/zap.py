"""Who may connect: ZeroMQ asks here for every connection, once its CURVE handshake has proved the peer's key.

ZAP (ZeroMQ RFC 27): a REP socket at an address that is fixed in each ZeroMQ context, so there is one of these for each
context. A peer is known by its public key, which every message then carries as User-Id; what it says of itself counts
for nothing. It knows keys, not members.
"""

from __future__ import annotations

from collections.abc import Iterable

import zmq
from zmq.auth.base import VERSION, Authenticator
from zmq.utils import z85

from replication.rounds import go_round
from replication.zeromq.adapter import Socket
from replication.zeromq.boundedlog import BoundedLog

DOMAIN = "waystation"
"""Sockets that ask here set it as `zap_domain`; without one ZeroMQ wouldn't ask at all."""

USER_ID = "User-Id"
GONE = b"500"
"""The status that a key is refused with that was removed for good; any other unknown one is refused with 400. ZAP has
no word for it, and 400 and 500 are the only ones of which libzmq tells who is refused."""
_PARTS = 6  # of a request, before the credentials
_REMOVED = b"Removed key"


class Authorised:
    """The public keys (Z85) that may connect, which may change at any time; and how many connections did.

    expelled: those that were let in once and never will be again; they are told so.
    A key that is taken out ends no connection that it has already; whoever reads looks here again.
    """

    __slots__ = ("admitted", "expelled", "keys", "refused")

    def __init__(self, keys: Iterable[str] = ()) -> None:
        self.keys = frozenset(keys)
        self.expelled: frozenset[str] = frozenset()
        self.admitted = 0
        self.refused = 0


class Gatekeeper(Authenticator):
    """Lets in who is authorised, while it runs."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], authorised: Authorised, told: BoundedLog
    ) -> None:
        super().__init__(context)
        self._authorised = authorised
        self._told = told
        self._socket: Socket | None = None

    def start(self) -> None:
        """Listen to ZeroMQ's questions. Before any socket that sets the domain is bound.

        Raises:
            zmq.ZMQError: the context has a ZAP handler already.
        """
        super().start()
        self._socket = Socket(self.zap_socket)

    async def run(self) -> None:
        """Answer until cancelled."""
        await go_round(self.step)

    async def step(self) -> None:
        """Wait for questions, and answer them."""
        assert self._socket is not None, "started"
        # One at a time: a REP socket gives the next question when this one is answered.
        for frames in await self._socket.receive(1):
            await self.handle_zap_message([frame.bytes for frame in frames])

    def stop(self) -> None:
        """After every socket that asks here: libzmq expects to be answered."""
        if self._socket is not None:
            socket, self._socket = self._socket, None
            socket.close()
        self.zap_socket = None  # type: ignore[assignment]

    async def handle_zap_message(self, msg: list[bytes]) -> None:
        """Answer one question. Any mechanism but CURVE is refused: pyzmq would let in a peer that names none."""
        if len(msg) >= _PARTS and msg[0] == VERSION and msg[5] != b"CURVE":
            self._refuse("mechanism", msg[3])
            self._send_zap_reply(msg[1], b"400", b"CURVE only")
            return
        await super().handle_zap_message(msg)

    async def _authenticate_curve(self, domain: str, client_key: bytes) -> tuple[bool, bytes]:
        key = z85.encode(client_key).decode("ascii") if len(client_key) == 32 else ""
        if domain == DOMAIN and key in self._authorised.keys:
            self._authorised.admitted += 1
            return True, b"OK"
        self._refuse("key", key.encode("ascii"))
        return False, _REMOVED if key in self._authorised.expelled else b"Unknown key"

    def _send_zap_reply(
        self, request_id: bytes, status_code: bytes, status_text: bytes, user_id: str = ""
    ) -> None:
        status = GONE if status_text is _REMOVED else status_code
        super()._send_zap_reply(request_id, status, status_text, user_id)

    def _refuse(self, why: str, who: bytes) -> None:
        self._authorised.refused += 1
        self._told.warn("peer_refused", why=why, who=who.decode("ascii", "replace"))
