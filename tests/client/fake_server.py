"""The fake node on a loopback port, plain or with TLS, under any anyio backend."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import wraps
from hashlib import sha256
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import anyio
import attrs
import pytest
from anyio.abc import ByteStream
from anyio.streams.tls import TLSListener
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from client.settings import Settings
from node.wire.codec import Decoder, decode_client, encode
from node.wire.limits import FRAME_MAX
from tests.client.fake_node import FakeNode, Session

FAST = Settings(
    backoff_min=0.01, backoff_max=0.05, cut_spread=0.05, lazy_delay=0.05, busy_min=0.01, close_timeout=5.0
)
GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


def on_both(test: Callable[..., Any]) -> Callable[..., None]:
    """Run the coroutine function under asyncio and under Trio; it takes the test's fixtures."""

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    @wraps(test)
    def run(backend: str, **fixtures: Any) -> None:
        async def main() -> None:
            with anyio.fail_after(60):
                await test(**fixtures)

        anyio.run(main, backend=backend)

    names = [name for name in test.__annotations__ if name != "return"]
    made: Callable[..., None] = run
    made.__signature__ = _signature(["backend", *names])  # type: ignore[attr-defined]
    return made


def _signature(names: list[str]) -> Any:
    from inspect import Parameter, Signature

    return Signature([Parameter(name, Parameter.KEYWORD_ONLY) for name in names])


@attrs.frozen
class Certificate:
    """A self-signed certificate of 127.0.0.1; file holds it with its key."""

    file: Path
    fingerprint: bytes


def make_certificate(directory: Path, name: str = "server") -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = directory / f"{name}.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    return Certificate(file, sha256(certificate.public_bytes(Encoding.DER)).digest())


@attrs.define
class Serving:
    """address: "host:port". auto_flush: every batch of frames is committed at once."""

    node: FakeNode
    address: str
    certificate: bytes
    auto_flush: bool = True
    streams: dict[Session, ByteStream] = attrs.Factory(dict)
    heard: list[tuple[Any, ...]] = attrs.Factory(list)
    pushing: anyio.Lock = attrs.Factory(anyio.Lock)

    async def drop_all(self) -> None:
        """Every connection breaks, without a word."""
        for stream in list(self.streams.values()):
            await anyio.aclose_forcefully(stream)

    async def push(self) -> None:
        """Write what the node has to say to whom; close what it closed."""
        async with self.pushing:
            for session, stream in list(self.streams.items()):
                out, session.out = session.out, []
                try:
                    if out:
                        await stream.send(b"".join(encode(frame) for frame in out))
                    if session.closed:
                        await stream.aclose()
                except GONE:
                    pass

    async def handle(self, stream: ByteStream) -> None:
        session = self.node.connect(self.certificate)
        self.streams[session] = stream
        decoder = Decoder(decode_client, FRAME_MAX)
        try:
            while not session.closed:
                frames = decoder.feed(await stream.receive())
                self.heard.extend(frames)
                for frame in frames:
                    self.node.receive(session, frame)
                if self.auto_flush:
                    self.node.flush()
                await self.push()
        except GONE:
            pass
        finally:
            self.node.disconnect(session)
            del self.streams[session]
            await anyio.aclose_forcefully(stream)


@asynccontextmanager
async def serve(
    certificate: Certificate | None = None, node: FakeNode | None = None, port: int = 0
) -> AsyncIterator[Serving]:
    """A node on 127.0.0.1 as long as the block runs."""
    listener: Any = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port)
    bound = listener.extra(anyio.abc.SocketAttribute.local_port)
    fingerprint = b""
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.file)
        listener = TLSListener(listener, context, standard_compatible=False)
        fingerprint = certificate.fingerprint
    serving = Serving(node or FakeNode(window=64), f"127.0.0.1:{bound}", fingerprint)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, serving.handle)
        yield serving
        group.cancel_scope.cancel()
