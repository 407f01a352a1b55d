"""A small HTTP listener for Prometheus: GET /metrics, and nothing else.

No framework, for what is taken is one short request to a connection. Every bound has a name: how many at once, how long
a request may be and take. Whoever sends anything else is refused, counted, and gets no figure. There is no TLS and no
password: it listens on loopback unless it is told otherwise (see docs/statistics.md).
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Final

import structlog
import trio

from admin.statistics.exposition import CONTENT_TYPE

log = structlog.get_logger()

REQUEST_BYTES_MAX: Final = 8_192
CONNECTIONS_MAX: Final = 8
"""Answered at once; more are refused. One Prometheus uses one."""
SECONDS_MAX: Final = 10.0
"""From the connection to the last byte of the answer."""
PATH: Final = b"/metrics"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError: the address can't be listened on."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=CONNECTIONS_MAX)
    listening.setblocking(False)
    return listening


class Scrapes:
    """Answers scrapes.

    Args:
        render: gives the text of an answer.
        counted: told of each request, whether it was answered.
    """

    __slots__ = ("_counted", "_open", "_render")

    def __init__(self, render: Callable[[], str], counted: Callable[[bool], None]) -> None:
        self._render = render
        self._counted = counted
        self._open = 0

    async def run(self, listening: socket.socket) -> None:
        """Answer until cancelled. The socket is closed then."""
        listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
        await trio.serve_listeners(self.serve, [listener])

    async def serve(self, stream: trio.abc.Stream) -> None:
        """One connection: one request, one answer."""
        try:
            with trio.move_on_after(SECONDS_MAX):
                async with stream:
                    await self._answer(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # gone without waiting for the answer
        except Exception:  # whatever it is: no scrape is worth a node
            self._counted(False)
            log.exception("scrape_failed")

    async def _answer(self, stream: trio.abc.Stream) -> None:
        if self._open >= CONNECTIONS_MAX:
            self._counted(False)
            await stream.send_all(refusal(503, "Service Unavailable"))
            return
        self._open += 1
        try:
            status, reason = judge(await _request(stream))
            told = answer(self._render()) if status == 200 else refusal(status, reason)
            self._counted(status == 200)
            await stream.send_all(told)
        finally:
            self._open -= 1


async def _request(stream: trio.abc.Stream) -> bytes:
    """The head of a request; what was received so far, if it never ends or is too long."""
    received = b""
    while b"\r\n\r\n" not in received and len(received) <= REQUEST_BYTES_MAX:
        more = await stream.receive_some(REQUEST_BYTES_MAX)
        if not more:
            break
        received += more
    return received


def judge(request: bytes) -> tuple[int, str]:
    """What a request's head deserves: (status, reason)."""
    head, end, _ = request.partition(b"\r\n\r\n")
    if len(head) > REQUEST_BYTES_MAX:
        return 431, "Request Header Fields Too Large"
    words = head.split(b"\r\n")[0].split(b" ")
    if not end or len(words) != 3 or not words[2].startswith(b"HTTP/1."):
        return 400, "Bad Request"
    if words[1].partition(b"?")[0] != PATH:
        return 404, "Not Found"
    if words[0] != b"GET":
        return 405, "Method Not Allowed"
    return 200, "OK"


def answer(text: str) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def refusal(status: int, reason: str) -> bytes:
    allow = "Allow: GET\r\n" if status == 405 else ""
    return f"HTTP/1.1 {status} {reason}\r\n{allow}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
