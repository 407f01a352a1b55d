"""The gateway that POSTs each PIN as JSON to an HTTPS address of the operator's, signed.

Signed are time and body: `Waystation-Signature: t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`, so
that a receiver knows the sender and can refuse what is old. Each try is signed anew; `id` in the body stays
the same. Tried again are what may pass: no connection, no answer in time, 5xx and 429. Not what won't:
other 4xx, redirects. The answer's body is never kept: it may repeat the PIN.
"""

import hashlib
import hmac
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from types import TracebackType
from typing import Final, Self

import httpx2
import trio

from node.accounts.errors import GatewayFailed
from node.accounts.gateway import Delivery
from node.accounts.retry import pause_ms, retry_after_ms
from node.accounts.settings import WebhookSettings

SECRET_SIZE_MIN: Final = 32
ANSWER_BYTES_MAX: Final = 16_384
"""A longer answer, or one of unknown length, isn't read."""

TOO_MANY_REQUESTS: Final = 429
SIGNATURE_HEADER: Final = "Waystation-Signature"


class WebhookGateway:
    """`gateway = "webhook"`.

    Args:
        secret: signs each request; shared with the receiver.
        clock: Unix time in ms.
        sleep: seconds; trio.sleep but in tests.
    """

    name = "webhook"

    def __init__(
        self,
        settings: WebhookSettings,
        secret: bytes,
        *,
        clock: Callable[[], int],
        random: Random,
        connections_max: int = 8,
        sleep: Callable[[float], Awaitable[None]] = trio.sleep,
    ) -> None:
        assert settings.url, "AccountsSettings has checked this"
        self._settings = settings
        self._secret = secret
        self._clock = clock
        self._random = random
        self._sleep = sleep
        self._client = httpx2.AsyncClient(
            verify=ssl.create_default_context(cafile=settings.ca_file or None),
            limits=httpx2.Limits(max_connections=connections_max, max_keepalive_connections=connections_max),
            timeout=settings.timeout_s,
            follow_redirects=False,
            trust_env=False,
        )
        self._posts = 0
        self._retries = 0

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

    async def deliver(self, delivery: Delivery) -> None:
        body = body_of(delivery)
        for tried in range(1, self._settings.tries_max + 1):
            failure, wait_ms = await self._post(body, tried)
            if failure is None:
                return
            if wait_ms is None or tried == self._settings.tries_max:
                raise GatewayFailed(f"the webhook {failure}, try {tried} of {self._settings.tries_max}")
            if self._clock() + wait_ms >= delivery.expires_at_ms:
                raise GatewayFailed(f"the webhook {failure}, and before the next try the PIN is too old")
            self._retries += 1
            await self._sleep(wait_ms / 1000)

    async def _post(self, body: bytes, tried: int) -> tuple[str | None, int | None]:
        """(what went wrong or None, ms until it should be tried again or None for never)."""
        self._posts += 1
        pause = pause_ms(
            tried, self._settings.backoff_s * 1000, self._settings.backoff_s_max * 1000, self._random
        )
        headers = {
            "Content-Type": "application/json",
            "Accept-Encoding": "identity",
            SIGNATURE_HEADER: signature_header(self._secret, self._clock() // 1000, body),
        }
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

    def statistics(self) -> Mapping[str, int]:
        return {"posts": self._posts, "retries": self._retries}


def body_of(delivery: Delivery) -> bytes:
    """The JSON that is posted."""
    return json.dumps(
        {
            "type": "pin",
            "id": delivery.id,
            "to": delivery.number,
            "pin": delivery.pin,
            "text": delivery.text,
            "valid_s": delivery.valid_ms // 1000,
        }
    ).encode()


def signature_header(secret: bytes, unix_s: int, body: bytes) -> str:
    mac = hmac.new(secret, b"%d." % unix_s + body, hashlib.sha256)
    return f"t={unix_s},v1={mac.hexdigest()}"


async def _finish(answer: httpx2.Response) -> None:
    """Read a short answer to its end, so that its connection can be used again; any other is closed unread."""
    size = answer.headers.get("Content-Length", "")
    if size.isascii() and size.isdigit() and len(size) < 6 and int(size) <= ANSWER_BYTES_MAX:
        await answer.aread()
