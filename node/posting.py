"""POSTs JSON to an HTTP address of the operator's, signed: PINs for a gateway, alarms for whoever is on call.

Signed are time and body: `Waystation-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`, so
that a receiver knows the sender and can refuse what is old. Each try is signed anew. Worth another try are what may
pass: no connection, no answer in time, 5xx and 429. Not what won't: other 4xx, redirects. The answer's body is never
kept: it may repeat what was posted. This module must never know what it carries.
"""

import hashlib
import hmac
import ssl
from collections.abc import Callable
from random import Random
from types import TracebackType
from typing import Final, Protocol, Self

import httpx2
import trio

from node.retry import pause_ms, retry_after_ms

ANSWER_BYTES_MAX: Final = 16_384
"""A longer answer, or one of unknown length, isn't read."""

TOO_MANY_REQUESTS: Final = 429
SIGNATURE_HEADER: Final = "Waystation-Signature"


class PostSettings(Protocol):
    """Where to, and how patiently. Whoever owns the settings says what each means, and its range."""

    @property
    def url(self) -> str: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def backoff_s(self) -> float: ...
    @property
    def backoff_s_max(self) -> float: ...
    @property
    def retry_after_s_max(self) -> float: ...


class Poster:
    """One try at a time, as many at once as there are connections. To be entered before it posts.

    Args:
        secret: signs each request; shared with the receiver. Empty: nothing is signed.
        clock: Unix time in ms.
    """

    def __init__(
        self,
        settings: PostSettings,
        secret: bytes,
        *,
        clock: Callable[[], int],
        random: Random,
        connections_max: int = 8,
    ) -> None:
        assert settings.url, "whoever has settings without one makes no poster"
        self.posts = 0
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._random = random
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(cafile=settings.ca_file or None),
            limits=httpx2.Limits(max_connections=connections_max, max_keepalive_connections=connections_max),
            timeout=settings.timeout_s,
            follow_redirects=False,
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def post(self, body: bytes, tried: int) -> tuple[str | None, int | None]:
        """The `tried`th try: (what went wrong or None, ms until it should be tried again or None for never)."""
        self.posts += 1
        pause = pause_ms(
            tried, self._settings.backoff_s * 1000, self._settings.backoff_s_max * 1000, self._random
        )
        headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if self._secret:
            headers[SIGNATURE_HEADER] = signature_header(self._secret, self._clock() // 1000, body)
        status, after = 0, None
        try:
            with trio.move_on_after(self._settings.timeout_s):
                async with self._client.stream(
                    "POST", self._settings.url, content=body, headers=headers
                ) as answer:
                    status, after = answer.status_code, answer.headers.get("Retry-After")
                    await _finish(answer)
        except httpx2.TransportError as error:
            if not status:
                return f"could not be reached ({type(error).__name__}): check url and receiver", pause
        if not status:
            return f"did not answer within {self._settings.timeout_s:g} s", pause
        if 200 <= status < 300:
            return None, None
        if status == TOO_MANY_REQUESTS:
            wait = retry_after_ms(after, self._clock())
            if wait is not None and wait > self._settings.retry_after_s_max * 1000:
                return f"answered {status} with a Retry-After above retry_after_s_max", None
            return f"answered {status}", pause if wait is None else wait
        return f"answered {status}", pause if status >= 500 else None


def signature_header(secret: bytes, unix_s: int, body: bytes) -> str:
    mac = hmac.new(secret, b"%d." % unix_s + body, hashlib.sha256)
    return f"t={unix_s},v1={mac.hexdigest()}"


async def _finish(answer: httpx2.Response) -> None:
    """Read a short answer to its end, so that its connection can be used again; any other is closed unread."""
    size = answer.headers.get("Content-Length", "")
    if size.isascii() and size.isdigit() and len(size) < 6 and int(size) <= ANSWER_BYTES_MAX:
        await answer.aread()
