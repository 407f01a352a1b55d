"""The gateway that POSTs each PIN as JSON to an HTTPS address of the operator's, signed (see `node.posting`).

`id` in the body stays the same when it is tried again.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from types import TracebackType
from typing import Self

import trio

from node.accounts.errors import GatewayFailed
from node.accounts.gateway import Delivery
from node.accounts.settings import WebhookSettings
from node.posting import Poster


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
        self._clock = clock
        self._sleep = sleep
        self._poster = Poster(settings, secret, clock=clock, random=random, connections_max=connections_max)
        self._retries = 0

    async def __aenter__(self) -> Self:
        await self._poster.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._poster.__aexit__(kind, error, traceback)

    async def deliver(self, delivery: Delivery) -> None:
        body = body_of(delivery)
        for tried in range(1, self._settings.tries_max + 1):
            failure, wait_ms = await self._poster.post(body, tried)
            if failure is None:
                return
            if wait_ms is None or tried == self._settings.tries_max:
                raise GatewayFailed(f"the webhook {failure}, try {tried} of {self._settings.tries_max}")
            if self._clock() + wait_ms >= delivery.expires_at_ms:
                raise GatewayFailed(f"the webhook {failure}, and before the next try the PIN is too old")
            self._retries += 1
            await self._sleep(wait_ms / 1000)

    def statistics(self) -> Mapping[str, int]:
        return {"posts": self._poster.posts, "retries": self._retries}


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
