"""A hub as a Trio task in a test's nursery, and streams to it."""

from __future__ import annotations

import ssl

import trio

from node.hub.hub import Hub
from node.hub.settings import HubSettings, ListenerSettings
from tests.node.hub.echo import EchoHandler, framed


class Running:
    """A hub to run in the test's nursery, and streams to it."""

    def __init__(self, tls=None, **limits):
        self.handler = EchoHandler()
        self.hub = Hub(HubSettings(**limits), self.handler)
        self.listener = self.hub.listen(ListenerSettings(tls=tls))
        self.streams = []

    async def connect(self):
        stream = await trio.open_tcp_stream(*self.listener.address)
        if self.listener.settings.tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            stream = trio.SSLStream(stream, context)
            await stream.do_handshake()
        self.streams.append(stream)
        await stream.send_all(framed(b"hi"))
        assert await read(stream, 6) == framed(b"hi")
        return stream


async def read(stream, count):
    data = b""
    while len(data) < count:
        part = await stream.receive_some(count - len(data))
        assert part, f"the end after {data!r}"
        data += part
    return data
