"""The gateway of a node that is tried out beside a real one: PINs reach nobody, and are shown nowhere."""

from collections.abc import Mapping

from node.accounts.gateway import Delivery, KeepsNothingOpen


class SilentGateway(KeepsNothingOpen):
    """Takes every PIN, and lets it go."""

    name = "silent"

    def __init__(self) -> None:
        self._swallowed = 0

    async def deliver(self, delivery: Delivery) -> None:
        self._swallowed += 1

    def statistics(self) -> Mapping[str, int]:
        return {"swallowed": self._swallowed}
