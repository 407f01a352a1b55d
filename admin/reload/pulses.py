"""Pictures of a node's health, taken from what its parts count anyway.

This module must never judge them.
"""

from collections.abc import Mapping
from typing import Any, Final

from admin.reload.health import Pulse
from node.running import Running

WAITING: Final = (
    "urgent",
    "loads_waiting",
    "receipts_loading",
    "reads_stalled",
)
"""Queues of mail that are short while a node keeps up."""


def take_pulse(node: Running, now: float) -> Pulse:
    """Cheap enough for once a second."""
    hub = node.hub.statistics()
    mail: Mapping[str, Any] = node.service.statistics()["mail"]
    return Pulse(
        at_s=now,
        errors=hub.failures + mail["commits_failed"] + mail["read_errors"],
        events=hub.events,
        lag_us=hub.lag_us.buckets,
        backlog=hub.soon_waiting + sum(mail[name] for name in WAITING),
    )
