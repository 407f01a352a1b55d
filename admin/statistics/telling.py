"""Alarms on their way to the operator's webhook: a bounded queue, one post at a time, in order.

What can't be told is counted and logged; nothing waits for it. The newest is worth most to whoever is called, so when
too many wait the oldest goes.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import structlog
import trio

from admin.statistics.alarms import Event
from admin.statistics.settings import AlarmWebhookSettings
from replication.rounds import go_round

if TYPE_CHECKING:
    from node.posting import Poster  # an HTTP client is much to load for nodes without a webhook

log = structlog.get_logger()


class Teller:
    """Tells one receiver. `node`: the name that the receiver knows this node by.

    Args:
        sleep: seconds; trio.sleep but in tests.
    """

    __slots__ = ("_bell", "_node", "_poster", "_settings", "_sleep", "_waiting", "dropped", "failed", "told")

    def __init__(
        self,
        settings: AlarmWebhookSettings,
        poster: Poster,
        node: str,
        sleep: Callable[[float], Awaitable[None]] = trio.sleep,
    ) -> None:
        self.told = 0
        self.failed = 0
        self.dropped = 0
        self._settings = settings
        self._poster = poster
        self._node = node
        self._sleep = sleep
        self._waiting: deque[Event] = deque()
        self._bell = trio.Event()

    def tell(self, event: Event) -> None:
        """Put an event on its way."""
        if len(self._waiting) >= self._settings.waiting_max:
            self._waiting.popleft()
            self.dropped += 1
        self._waiting.append(event)
        self._bell.set()

    async def run(self) -> None:
        """Post until cancelled."""
        async with self._poster:
            await go_round(self.step)

    async def step(self) -> None:
        """Wait for an event, and see it told or given up."""
        while not self._waiting:
            self._bell = trio.Event()
            await self._bell.wait()
        body = body_of(self._waiting.popleft(), self._node)
        for tried in range(1, self._settings.tries_max + 1):
            try:
                failure, wait_ms = await self._poster.post(body, tried)
            except Exception as error:  # noqa: BLE001 - whatever it is: no alarm is worth a node
                failure, wait_ms = f"could not be posted to ({type(error).__name__})", None
            if failure is None:
                self.told += 1
                return
            if wait_ms is None or tried == self._settings.tries_max:
                self.failed += 1
                log.warning("alarm_not_told", cause=f"the webhook {failure}", tries=tried)
                return
            await self._sleep(wait_ms / 1000)

    def statistics(self) -> dict[str, int]:
        return {
            "waiting": len(self._waiting),
            "posts": self._poster.posts,
            "told": self.told,
            "failed": self.failed,
            "dropped": self.dropped,
        }


def body_of(event: Event, node: str) -> bytes:
    """The JSON that is posted. `id` is the same for the raising and the clearing of an alarm."""
    alarm = event.alarm
    told: dict[str, Any] = {
        "type": "alarm",
        "id": f"{node} {alarm.name} {int(alarm.since)}",
        "what": event.what,
        "node": node,
        "alarm": alarm.name,
        "kind": alarm.kind,
        "since": round(alarm.since, 3),
        "at": round(event.at, 3),
        "value": alarm.value,
        "worst": alarm.worst,
        "threshold": alarm.threshold,
        "text": alarm.text,
    }
    return json.dumps(told).encode()
