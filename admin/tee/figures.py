"""What both sides of a tee are compared by: counts of the share, and how each node fares. Plain data, no sockets."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from node.histogram import Distribution, together
from node.running import Running
from node.wire import verbs

NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {getattr(verbs, name): name.lower() for name in (
        "LOGIN", "SEND", "SKIP", "ACCEPTED", "GAP", "DELIVER", "ACK", "READ", "RECEIPT", "CONFIRM", "PING", "BUSY",
        "MOVED", "BYE", "ERROR",
    )}
)  # fmt: skip
QUANTILES: Final = (0.5, 0.99)


@attrs.frozen
class Mark:
    """A node when a comparison began."""

    at: float
    cpu_s: float
    failures: int
    histograms: Mapping[str, Distribution]

    @classmethod
    def of(cls, running: Running) -> Mark:
        return cls(time.monotonic(), time.process_time(), running.hub.counters.failures, _histograms(running))


def _histograms(running: Running) -> Mapping[str, Distribution]:
    latencies = running.service.mail.latencies
    return {
        "accepted_ms": together(latencies.both, latencies.accepted),
        "delivery_ms": together(latencies.both, latencies.delivered),
        "lag_us": running.hub.counters.lag_us.picture(),
    }


def since(mark: Mark, running: Running) -> dict[str, Any]:
    """How the node has fared since: latencies and lag of all of it, as quantiles; CPU of the process."""
    seconds = time.monotonic() - mark.at
    found: dict[str, Any] = {
        "seconds": round(seconds, 1),
        "cpu_share": round((time.process_time() - mark.cpu_s) / (seconds or 1), 4),
        "failures": running.hub.counters.failures - mark.failures,
    }
    for name, now in _histograms(running).items():
        before = mark.histograms[name]
        added = Distribution(
            tuple(a - b for a, b in zip(now.buckets, before.buckets, strict=True)),
            now.most,
            now.total - before.total,
        )
        for share in QUANTILES:
            found[f"{name}.p{round(share * 100)}"] = added.quantile(share) if any(added.buckets) else None
    return found


def by_name(way: str, counts: Mapping[int, int]) -> dict[str, int]:
    """Frames by verb: `in.send`."""
    return {f"{way}.{NAMES.get(verb, verb)}": count for verb, count in sorted(counts.items())}


def side_by_side(live: Mapping[str, Any], shadow: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A row for each figure that one of the two has; what only one has is nothing at the other."""
    names = [*live, *(name for name in shadow if name not in live)]
    groups = ("in.", "out.", "errors.")

    def place(name: str) -> tuple[int, int]:
        group = next((i + 1 for i, one in enumerate(groups) if name.startswith(one)), 0)
        return group, names.index(name)

    return [
        {"figure": name, "live": live.get(name), "shadow": shadow.get(name)}
        for name in sorted(names, key=place)
    ]
