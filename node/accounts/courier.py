"""The courier: PINs wait here for the gateway, a bounded number, and are handed over a few at a time.

Asking for a PIN reserves a place before anything is written, so that no PIN is counted that can't be sent.
A delivery that fails is counted and logged without its PIN; so is one that is too old when its turn comes.
PINs still waiting when the node stops are dropped: their phones ask again.

This module must never know what a gateway does, nor log what it carries.
"""

from collections.abc import Callable

import attrs
import structlog
import trio

from node.accounts.errors import GatewayFailed
from node.accounts.gateway import Delivery, Gateway
from replication.rounds import go_round

_log = structlog.get_logger(__name__)


@attrs.frozen
class CourierStatistics:
    """waiting and in_hand: now; the others: since the start. too_old: expired before their turn."""

    waiting: int
    waiting_max: int
    in_hand: int
    delivered: int
    failed: int
    broken: int
    too_old: int
    gateway: str
    gateway_counts: dict[str, int]


class Courier:
    """Hands PINs to a gateway. clock: Unix time in ms."""

    def __init__(
        self, gateway: Gateway, *, waiting_max: int, at_once_max: int, clock: Callable[[], int]
    ) -> None:
        self._gateway = gateway
        self._waiting_max = waiting_max
        self._at_once_max = at_once_max
        self._clock = clock
        self._inbox, self._outbox = trio.open_memory_channel[Delivery](waiting_max)
        self._reserved = 0
        self._in_hand = 0
        self._delivered = 0
        self._failed = 0
        self._broken = 0
        self._too_old = 0

    def reserve(self) -> bool:
        """Take a place for one PIN; False if all are taken. Give it back with `release`, or use it with
        `post`."""
        if self._waiting >= self._waiting_max:
            return False
        self._reserved += 1
        return True

    def release(self) -> None:
        assert self._reserved > 0
        self._reserved -= 1

    def post(self, delivery: Delivery) -> None:
        """Put a PIN on its way, in a place reserved before."""
        self.release()
        self._inbox.send_nowait(delivery)

    def take_nowait(self) -> Delivery | None:
        """The next PIN, for whoever hands them over without tasks; None: none waits."""
        try:
            return self._outbox.receive_nowait()
        except trio.WouldBlock:
            return None

    async def run(self) -> None:
        """Hand PINs over until cancelled."""
        async with self._gateway, trio.open_nursery() as nursery:
            for _ in range(self._at_once_max):
                nursery.start_soon(go_round, self._hand_over_next, name=self._hand_over_next)

    async def _hand_over_next(self) -> None:
        delivery = await self._outbox.receive()
        if self._clock() >= delivery.expires_at_ms:
            self._too_old += 1
            _log.warning(
                "pin_not_sent", cause="it was too old when its turn came", gateway=self._gateway.name
            )
            return
        self._in_hand += 1
        try:
            await self._gateway.deliver(delivery)
        except GatewayFailed as failure:
            self._failed += 1
            _log.warning("pin_not_sent", cause=str(failure), gateway=self._gateway.name, delivery=delivery.id)
        except Exception as error:  # noqa: BLE001 - one broken delivery must not end the node; its text may hold the PIN
            self._broken += 1
            _log.error(
                "pin_not_sent", cause=type(error).__name__, gateway=self._gateway.name, delivery=delivery.id
            )
        else:
            self._delivered += 1
        finally:
            self._in_hand -= 1

    @property
    def delivers(self) -> bool:
        """Whether a PIN waits to be handed over, or is."""
        return bool(self._waiting or self._in_hand)

    @property
    def _waiting(self) -> int:
        return self._reserved + self._inbox.statistics().current_buffer_used

    def statistics(self) -> CourierStatistics:
        return CourierStatistics(
            waiting=self._waiting,
            waiting_max=self._waiting_max,
            in_hand=self._in_hand,
            delivered=self._delivered,
            failed=self._failed,
            broken=self._broken,
            too_old=self._too_old,
            gateway=self._gateway.name,
            gateway_counts=dict(self._gateway.statistics()),
        )
