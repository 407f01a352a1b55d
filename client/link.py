"""One connection to the node: made, trusted, read, written, closed. Plain TCP or TLS 1.3, on any anyio backend.

This module must never know what a frame means.
"""

import ssl
from collections.abc import Callable

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSAttribute, TLSStream

from client.errors import NoConnection, ServerNotTrusted
from client.records import Frame
from client.settings import Settings
from client.signals import Flag
from client.trust import Plain, Server, Trust, check_certificate, tls_context
from node.wire.codec import Decoder, decode_server, encode
from node.wire.limits import FRAME_MAX

_WRITE_SIZE = 65_536
"""Bytes gathered for one write."""


class Link:
    """fingerprint: SHA-256 of the server's certificate; empty on plain TCP. cut: the other side ended it.

    `read` is for one task, `write_loop` for another; `say` and `waiting` for anybody.
    """

    def __init__(self, stream: ByteStream, fingerprint: bytes, settings: Settings) -> None:
        self.fingerprint = fingerprint
        self.hung_up = anyio.Event()
        self.ended_because = ""
        self.retry = 0.0
        self.cut = False
        self._stream = stream
        self._settings = settings
        self._decoder = Decoder(decode_server, FRAME_MAX)
        self._out: list[Frame] = []
        self._flag = Flag()
        self._ending = False

    @property
    def waiting(self) -> int:
        """Frames not written yet."""
        return len(self._out)

    def say(self, frames: list[Frame]) -> None:
        """Send these when the writing task gets to it."""
        if frames:
            self._out.extend(frames)
            self._flag.raise_()

    def hang_up(self, why: str, retry: float = 0.0, *, cut: bool = False) -> None:
        """Say that the connection is to end, once; whoever waits for `hung_up` closes it.

        Args:
            cut: the other side has ended it already.
        """
        if not self.hung_up.is_set():
            self.ended_because, self.retry, self.cut = why, retry, cut
            self.hung_up.set()

    def end(self) -> None:
        """Let `write_loop` return when everything said is written."""
        self._ending = True
        self._flag.raise_()

    async def read(self) -> list[Frame]:
        """What the server said since the last time; waits for at least some bytes.

        Raises:
            anyio.EndOfStream, anyio.BrokenResourceError, OSError: the connection is gone.
            WireError: the server broke the protocol; close.
        """
        return self._decoder.feed(await self._stream.receive(self._settings.read_size))

    async def write_loop(self, written: Callable[[], None]) -> None:
        """Write what is said, as it is said; `written` is called after each write.

        Raises:
            anyio.BrokenResourceError, OSError: the connection is gone.
        """
        while self._out or not self._ending:
            if not self._out:
                await self._flag.wait()
                continue
            size, parts = 0, list[bytes]()
            for frame in self._out:
                parts.append(encode(frame))
                size += len(parts[-1])
                if size >= _WRITE_SIZE:
                    break
            del self._out[: len(parts)]
            await self._stream.send(b"".join(parts))
            written()

    async def close(self) -> None:
        """Close without waiting for the other side; safe under cancellation."""
        await anyio.aclose_forcefully(self._stream)


async def open_link(server: Server, trust: Trust, known: bytes | None, settings: Settings) -> Link:
    """Connect, and check whom to.

    Args:
        known: for FirstUse, the fingerprint remembered of this server.

    Raises:
        NoConnection: no name, no route, nobody listening, no TLS, or it took too long.
        ServerNotTrusted: somebody answers, but not the one wanted.
    """
    context = None if isinstance(trust, Plain) else tls_context(trust)
    stream: ByteStream | None = None
    try:
        with anyio.fail_after(settings.connect_timeout):
            stream = await anyio.connect_tcp(server.host, server.port)
            if context is None or isinstance(trust, Plain):
                return Link(stream, b"", settings)
            tls = await TLSStream.wrap(
                stream,
                server_side=False,
                hostname=server.host,
                ssl_context=context,
                standard_compatible=False,
            )
            der = tls.extra(TLSAttribute.peer_certificate_binary)  # noqa: S610 - not Django's
            if der is None:
                raise ServerNotTrusted(f"{server} showed no certificate")
            return Link(tls, check_certificate(trust, known, der), settings)
    except (OSError, anyio.BrokenResourceError, anyio.EndOfStream) as error:
        await _drop(stream)
        raise _named(server, error) from error
    except BaseException:
        await _drop(stream)
        raise


async def _drop(stream: ByteStream | None) -> None:
    if stream is not None:
        await anyio.aclose_forcefully(stream)


def _named(server: Server, error: Exception) -> NoConnection | ServerNotTrusted:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ServerNotTrusted(f"{server}: {error.verify_message}")
    if isinstance(error, TimeoutError):
        return NoConnection(f"{server} didn't answer in time")
    if isinstance(error, ssl.SSLError):
        return NoConnection(f"{server}: TLS failed: {error.reason}")
    return NoConnection(f"{server}: {error or 'the connection broke'}")
