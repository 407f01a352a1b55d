"""Pictures of a node's health, taken from what its parts count anyway.

This module must never judge them.
"""

from collections.abc import Mapping
from typing import Any, Final

from admin.reload.health import Pulse
from node.running import Running
from node.wire import errors

WAITING: Final = (
    ("mail", "urgent"),
    ("mail", "loads_waiting"),
    ("mail", "receipts_loading"),
    ("mail", "reads_stalled"),
    ("login", "reading"),
    ("registration", "in_store"),
    ("courier", "waiting"),
    ("routing", "kept_messages"),
    ("routing", "asks_waiting"),
    ("routing", "tells_waiting"),
)
"""Queues that are short while a node keeps up."""
USUAL: Final = frozenset((errors.SUPERSEDED, errors.TIMEOUT))
"""Errors with which connections end while all is well."""
ENDS: Final = tuple(one.name for one in errors.CODES if one.closes and one.number not in USUAL)
"""Reasons under which a hub counts connections that were sent an error, and closed."""


def take_pulse(node: Running, now: float, faults: int = 0) -> Pulse:
    """Cheap enough for once a second.

    Args:
        faults: of what runs beside the hub, so far.
    """
    hub = node.hub.statistics()
    service, accounts = node.service.statistics(), node.service.accounts.statistics()
    mail, login = service["mail"], accounts["login"]
    routing: Mapping[str, Any] = service.get("routing", {})
    parts: Mapping[str, Mapping[str, Any]] = {**accounts, "mail": mail, "routing": routing}
    waiting = sum(parts[part].get(name, 0) for part, name in WAITING)
    return Pulse(
        at_s=now,
        errors=hub.failures + mail["commits_failed"] + mail["read_errors"],
        events=hub.events,
        lag_us=hub.lag_us.buckets,
        backlog=hub.soon_waiting + waiting + _queued(node),
        sends=mail["sends"] + routing.get("kept", 0) + routing.get("busy", 0),
        refused=mail["busy"] + mail["refused"] + mail["gaps"] + routing.get("busy", 0),
        ended=sum(hub.closed.get(name, 0) for name in ENDS),
        logins=login["logins"] + login["failed"] + routing.get("asks_failed", 0),
        logins_failed=login["failed"] + routing.get("asks_failed", 0),
        faults=faults,
        accepted=mail["accepted_delivered"] + mail["accepted_stored"],
        delivered=mail["delivered"],
    )


def _queued(node: Running) -> int:
    """Messages that wait for links to other nodes."""
    if node.cluster is None:
        return 0
    return sum(link.queue_messages for link in node.cluster.links.statistics().links)
