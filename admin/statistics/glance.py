"""What somebody wants to see of a node first: the last second in some figures, its queues, and what rings.

Pure. For whoever asks once a second and has many nodes to look at; `stats` tells all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from admin.statistics.columns import Column

QUEUES_MAX: Final = 16
ALARMS_MAX: Final = 16
_CPU: Final = ("system.cpu.user_seconds", "system.cpu.system_seconds")

FIGURES: Final[Mapping[str, Column]] = MappingProxyType(
    {
        "sessions": Column("", ("sessions",)),
        "connections": Column("", ("hub.connections",)),
        "logins_per_s": Column("", ("logins",)),
        "taken_per_s": Column("", ("mail.taken",)),
        "delivered_per_s": Column("", ("mail.delivered",)),
        "acks_per_s": Column("", ("mail.acks",)),
        "busy_per_s": Column("", ("mail.busy",)),
        "pending": Column("", ("mail.pending",)),
        "accepted_ms_p99": Column("", ("mail.accepted_ms.p99",)),
        "delivery_ms_p99": Column("", ("mail.delivery_ms.p99",)),
        "lag_ms_p99": Column("", ("hub.lag_us.p99",), 1e-3),
        "lag_ms_most": Column("", ("hub.lag_us.most",), 1e-3),
        "late_ms": Column("", ("loop.late_ms",)),
        "cpu_percent": Column("", _CPU, 100),
        "loop_cpu_percent": Column("", ("system.cpu.loop_seconds",), 100),
        "resident_bytes": Column("", ("system.memory.resident_bytes",)),
        "memory_percent": Column("", ("system.memory.share",), 100),
        "disk_free_percent": Column("", ("system.disk.free_share",), 100),
        "disk_free_bytes": Column("", ("system.disk.free_bytes",)),
        "members": Column("", ("cluster.members",)),
        "members_alive": Column("", ("cluster.members_alive",)),
        "partitions_served": Column("", ("cluster.partitions.served",)),
        "partitions_unserved": Column("", ("cluster.partitions.unserved",)),
        "partitions_at_one_copy": Column("", ("cluster.partitions.at_one_copy",)),
        "copies_lag_rows": Column("", ("replication.lag_rows",)),
        "copies_lag_s": Column("", ("replication.oldest_ms",), 1e-3),
        "links_down": Column("", ("cluster.links_down",)),
        "kib_in_per_s": Column("", ("hub.bytes_in",), 1 / 1024),
        "kib_out_per_s": Column("", ("hub.bytes_out",), 1 / 1024),
    }
)
"""Name → of which figures of a record."""


def glance(
    row: Mapping[str, float], queues: Sequence[Mapping[str, Any]], alarms: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """What isn't counted is None. Queues at rest are left out.

    Args:
        row: a second's record, as `sampler.row` gives it.
        queues: as `Statistics.queues`, the longest first. alarms: as `Statistics.raised`.
    """
    busy = [queue for queue in queues if queue["length"] or queue["in"][0] >= 0.5 or queue["out"][0] >= 0.5]
    return {
        **{name: _rounded(column.value(row)) for name, column in FIGURES.items()},
        "queues": [
            {
                "queue": queue["queue"],
                "length": queue["length"],
                "in_per_s": round(queue["in"][0], 1),
                "out_per_s": round(queue["out"][0], 1),
                "age_s": queue["age_s"],
                "drain_s": queue["drain_s"],
            }
            for queue in busy[:QUEUES_MAX]
        ],
        "alarms": [
            {name: alarm[name] for name in ("name", "since", "value", "threshold", "text")}
            for alarm in alarms[:ALARMS_MAX]
        ],
        "alarms_raised": len(alarms),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
