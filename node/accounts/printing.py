"""The gateway for trying things out: it prints each PIN, and nothing reaches a phone.

Line for line: `PIN +15551230001 123456 (valid for 600 s; …)`. It is the only place that shows a PIN.
"""

from collections.abc import Mapping
from typing import TextIO

from node.accounts.gateway import Delivery, KeepsNothingOpen


class PrintingGateway(KeepsNothingOpen):
    """`gateway = "log"`. output: usually the node's standard output; each line is flushed."""

    name = "log"

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._printed = 0

    async def deliver(self, delivery: Delivery) -> None:
        print(
            f"PIN {delivery.number} {delivery.pin} (valid for {delivery.valid_ms // 1000} s;"
            ' shown because [registration] gateway = "log")',
            file=self._output,
            flush=True,
        )
        self._printed += 1

    def statistics(self) -> Mapping[str, int]:
        return {"printed": self._printed}
