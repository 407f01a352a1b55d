"""What a gateway is: the way of a PIN to its phone. Implementations: printing, webhook, command.

A gateway is an async context manager (it may keep connections open) whose `deliver` returns once the PIN is
handed over, or raises GatewayFailed. Retrying is a gateway's own business; queueing and counting are the
courier's. No gateway but the printing one may show a PIN to anybody but its receiver: not in logs, errors
or reprs.
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Protocol, Self

import attrs


@attrs.frozen
class Delivery:
    """A PIN for a phone.

    id: names this delivery, the same for each try, so that a receiver can drop repeats.
    text: the message that carries the PIN. expires_at_ms: after it (Unix time) the PIN is of no use.
    """

    user: int
    pin: str = attrs.field(repr=False)
    text: str = attrs.field(repr=False)
    id: str
    valid_ms: int
    expires_at_ms: int

    @property
    def number(self) -> str:
        return f"+{self.user}"


class Gateway(Protocol):
    """Hands PINs over. Entered once, by the courier's task; `deliver` may run several times at once."""

    @property
    def name(self) -> str: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    async def deliver(self, delivery: Delivery) -> None:
        """Hand one PIN over.

        Raises:
            GatewayFailed: it wasn't taken, and trying again was of no use.
        """
        ...

    def statistics(self) -> Mapping[str, int]: ...


class KeepsNothingOpen:
    """The entering and leaving of a gateway that has nothing to open between deliveries."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None
