"""The hub over real loopback sockets: plain and TLS, whole frames and fragments, and its end."""

from __future__ import annotations

import ssl

import pytest
import trio

from node.hub.certificate import make_certificate
from node.hub.hub import Hub
from node.hub.settings import HubSettings, ListenerSettings
from node.hub.tls import ServerTls, load_tls
from tests.node.hub.echo import EchoHandler, framed


@pytest.fixture(scope="session")
def server_tls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    make_certificate(folder / "c.pem", folder / "k.pem")
    return load_tls(folder / "c.pem", folder / "k.pem")


async def connect(listener):
    stream = await trio.open_tcp_stream(*listener.address)
    if listener.settings.tls is None:
        return stream
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    tls = trio.SSLStream(stream, context, https_compatible=True)
    await tls.do_handshake()
    return tls


@pytest.fixture(params=["plain", "tls"])
def tls(request, server_tls) -> ServerTls | None:
    return server_tls if request.param == "tls" else None


async def read(stream, count):
    data = b""
    while len(data) < count:
        part = await stream.receive_some(count - len(data))
        assert part, f"only {data!r}"
        data += part
    return data


async def test_a_frame_comes_back(tls, nursery):
    handler = EchoHandler()
    hub = Hub(HubSettings(), handler)
    listener = hub.listen(ListenerSettings(tls=tls))
    await nursery.start(hub.run)
    stream = await connect(listener)
    await stream.send_all(framed(b"hello"))
    assert await read(stream, 9) == framed(b"hello")
    async with trio.open_nursery() as inner:
        inner.start_soon(hub.stop, 5)
        assert await read(stream, 3) == b"bye"
        assert await stream.receive_some(1) == b""
        await stream.aclose()
    assert [reason for _, reason in handler.ends] == ["stopping"]
