"""What a storm came to, from what phones and nodes told. Pure; this module must never know where it comes from."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from ops.bench.storm_plan import Return, Told

_SHARES: Final = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


@frozen
class Window:
    """The storm: from the loss until every phone is back, in microseconds."""

    lost: int
    over: int


def spread(seconds: Sequence[float]) -> dict[str, float | None]:
    """first, p50, p95, p99 and last."""
    ordered = sorted(seconds)
    if not ordered:
        return {"first": None, **{name: None for name, _ in _SHARES}, "last": None}
    return {
        "first": ordered[0],
        **{name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in _SHARES},
        "last": ordered[-1],
    }


def rate_max(at: Sequence[int], span_us: int = 1_000_000) -> int:
    """The most that came within a second, wherever it begins."""
    ordered = sorted(at)
    most = first = 0
    for last, when in enumerate(ordered):
        while when - ordered[first] >= span_us:
            first += 1
        most = max(most, last - first + 1)
    return most


def each_second(at: Sequence[int], start: int) -> list[int]:
    """How many came in the first second from `start`, in the second, and so on."""
    counts = Counter(max(0, when - start) // 1_000_000 for when in at)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def returning(returns: Sequence[Return], lost: int) -> dict[str, Any]:
    """How phones came back."""
    back = [one for one in returns if one.back]
    nodes = Counter(one.port for one in back)
    by_node = {port: [one.back for one in back if one.port == port] for port in sorted(nodes)}
    refusals = [refusal for one in returns for refusal in one.refusals]
    told = [refusal.at + refusal.retry_ms * 1000 for refusal in refusals if refusal.retry_ms]
    return {
        "phones": len(returns),
        "back": len(back),
        "noticed_s": spread([(one.lost - lost) / 1e6 for one in returns]),
        "first_try_s": spread([(one.first_try - lost) / 1e6 for one in returns if one.first_try]),
        "tries_per_s_max": rate_max([one.first_try for one in returns if one.first_try]),
        "back_s": spread([(one.back - lost) / 1e6 for one in back]),
        "back_each_s": each_second([one.back for one in back], lost),
        "back_per_s_max": rate_max([one.back for one in back]),
        "back_per_s_max_of_a_node": max(map(rate_max, by_node.values()), default=0),
        "login_s": spread([(one.back - one.first_try) / 1e6 for one in back if one.first_try]),
        "tries_per_phone": sum(one.tries for one in returns) / max(1, len(returns)),
        "unanswered": sum(one.unanswered for one in returns),
        "refusals": len(refusals),
        "refusals_by_code": dict(Counter(str(refusal.code) for refusal in refusals)),
        "refusals_without_a_time": sum(not refusal.retry_ms for refusal in refusals),
        "refused_told_s": spread([refusal.retry_ms / 1000 for refusal in refusals if refusal.retry_ms]),
        "refused_come_again_per_s_max": rate_max(told),
    }


def latencies(
    messages: Sequence[Told], window: Window, kind_of: Callable[[Told], str]
) -> dict[str, dict[str, dict[str, Any]]]:
    """By kind, and before, during and after the storm: ms until the sender and the recipient heard."""
    found: dict[str, dict[str, list[Told]]] = {}
    for one in messages:
        when = "before" if one.at < window.lost else "during" if one.at < window.over else "after"
        found.setdefault(kind_of(one), {}).setdefault(when, []).append(one)
    return {
        kind: {
            when: {
                "messages": len(some),
                "accepted_ms": _times([one.accepted - one.at for one in some if one.accepted]),
                "delivered_ms": _times([one.delivered - one.at for one in some if one.delivered]),
            }
            for when, some in parts.items()
        }
        for kind, parts in sorted(found.items())
    }


def _times(us: Sequence[int]) -> dict[str, float | None]:
    shares = spread([one / 1000 for one in us])
    return {"p50": shares["p50"], "p99": shares["p99"], "max": shares["last"]}


def lost_messages(messages: Sequence[Told]) -> dict[str, int]:
    """What never came to an end; accepted and not delivered would be a loss."""
    return {
        "messages": len(messages),
        "accepted_and_not_delivered": sum(bool(one.accepted) and not one.delivered for one in messages),
        "not_accepted": sum(not one.accepted for one in messages),
    }


def grown(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Counters' differences."""
    return {name: value - before.get(name, 0) for name, value in after.items()}


def between(
    statuses: Sequence[dict[str, Any]],
    sent: Sequence[dict[str, int]],
    rest: Sequence[dict[str, int]],
    rest_s: float,
    storm_s: float,
) -> dict[str, dict[str, float]]:
    """Messages between nodes by channel: in the storm, and as many as there would have been without it."""
    found: dict[str, dict[str, float]] = {}
    for channel in sorted({name for one in sent for name in one}):
        whole = sum(
            status["links"]["sent"].get(channel, 0) - before.get(channel, 0)
            for status, before in zip(statuses, sent, strict=True)
        )
        calm = sum(after.get(channel, 0) - one.get(channel, 0) for after, one in zip(sent, rest, strict=True))
        found[channel] = {"messages": whole, "without_it": calm / rest_s * storm_s}
    return found
