"""One sample after another: the nested dict of a node's figures becomes rates, levels, quantiles and queues.

Pure: the time and the figures are passed in. What it costs is that of a walk through some 250 figures, once a second.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import exp
from typing import Any, Final

from admin.statistics import queues
from admin.statistics.catalogue import CATALOGUE
from admin.statistics.figures import COUNTER, HISTOGRAM, TEXT
from admin.statistics.queues import queues_of
from admin.statistics.rates import SPANS_S, move, shown, steps
from admin.statistics.series import Count, Level, Line, SamplerState, Spread, Words

RECENT_S: Final = 10.0
"""What quantiles are shown of."""
FIGURES_MAX: Final = 4_096
"""A node has some 250; more than this are left out, and counted."""
QUANTILES: Final = (("p50", 0.5), ("p99", 0.99))


def take(state: SamplerState, now: float, figures: Mapping[str, Any]) -> None:
    """Take in the figures as they are now. `now`: seconds of a clock that never goes back.

    A figure that isn't there any more is forgotten; one that is new begins.
    """
    if state.at is not None and now <= state.at:
        return
    interval_s = now - state.at if state.at is not None else 0.0
    if state.at is None:
        state.began = now
    state.at = now
    state.interval_s = interval_s
    state.samples += 1
    state.left_out = 0
    by = steps(interval_s)
    _walk(state, "", figures, now, interval_s, by, exp(-interval_s / RECENT_S))
    for kept in (state.counts, state.levels, state.spreads, state.words):
        _forget(kept, state.samples)
    _queues(state, figures, now, interval_s, by)


def _walk(
    state: SamplerState,
    prefix: str,
    figures: Mapping[Any, Any],
    now: float,
    interval_s: float,
    by: tuple[float, float, float],
    fade: float,
) -> None:
    counts, levels, samples = state.counts, state.levels, state.samples
    for name, value in figures.items():
        path = f"{prefix}{name}"
        if (count := counts.get(path)) is not None:
            before, count.value = count.value, value
            # one that is less than before began anew, as when a group is made again
            added = value - before if value >= before else value
            count.per_s = per_s = added / interval_s
            count.seen = samples
            move(count.rates, per_s, by)
        elif (level := levels.get(path)) is not None:
            level.value = value
            level.seen = samples
        elif isinstance(value, Mapping):
            if "buckets" in value:
                _spread(state, path, value, fade)
            else:
                _walk(state, f"{path}.", value, now, interval_s, by, fade)
        elif path in state.words or len(counts) + len(levels) + len(state.words) < FIGURES_MAX:
            _begin(state, path, value, now)
        else:
            state.left_out += 1


def _begin(state: SamplerState, path: str, value: Any, now: float) -> None:
    """A figure that is met for the first time, or isn't a number."""
    figure = CATALOGUE.of(path)
    if figure.kind == TEXT or not isinstance(value, int | float):
        words = state.words.get(path)
        if words is None:
            words = state.words[path] = Words(figure, None)
        words.value = None if value is None else str(value)
        words.seen = state.samples
    elif figure.kind == COUNTER:
        state.counts[path] = count = Count(figure, value, now)
        count.seen = state.samples
    else:
        state.levels[path] = level = Level(figure, value)
        level.seen = state.samples


def _spread(state: SamplerState, path: str, value: Mapping[str, Any], fade: float) -> None:
    buckets = tuple(value["buckets"])
    spread = state.spreads.get(path)
    if spread is None or len(spread.buckets) != len(buckets):
        figure = CATALOGUE.of(path)
        if figure.kind != HISTOGRAM:
            return
        spread = state.spreads[path] = Spread(figure, buckets, 0, 0)
    elif buckets == spread.buckets:
        spread.added = ()
        spread.recent = [kept * fade for kept in spread.recent]
    else:
        spread.added = added = tuple(
            now - before if now >= before else now
            for now, before in zip(buckets, spread.buckets, strict=True)
        )
        spread.recent = [kept * fade + more for kept, more in zip(spread.recent, added, strict=True)]
        spread.buckets = buckets
    spread.most, spread.total = value["most"], value.get("total", 0)
    spread.seen = state.samples


def _forget(kept: dict[str, Any], samples: int) -> None:
    gone = [path for path, series in kept.items() if series.seen != samples]
    for path in gone:
        del kept[path]


def _queues(
    state: SamplerState,
    figures: Mapping[str, Any],
    now: float,
    interval_s: float,
    by: tuple[float, float, float],
) -> None:
    def value(path: str) -> float:
        found = state.counts.get(path) or state.levels.get(path)
        return found.value if found is not None else 0.0

    for queue in queues_of(groups_of(figures)):
        if queue.length[0] not in state.levels:
            continue
        line = state.lines.get(queue.name)
        first = line is None
        if line is None:
            line = state.lines[queue.name] = Line(now)
        line.seen = state.samples
        queues.step(line, queue, value, now, 0.0 if first else interval_s, by)
    _forget(state.lines, state.samples)


def groups_of(figures: Mapping[str, Any]) -> tuple[str, ...]:
    """The groups of the store that figures are of."""
    return tuple(figures.get("store", {}).get("groups", {}))


def quantile(buckets: Sequence[float], share: float) -> int:
    """The upper bound of a quantile of a histogram by powers of two; 0 if it is empty."""
    wanted = share * sum(buckets)
    seen = 0.0
    for index, count in enumerate(buckets):
        seen += count
        if count > 0 and seen >= wanted:
            return (1 << index) - 1
    return 0


def highest(buckets: Sequence[float]) -> int:
    """The upper bound of the most that was recorded."""
    return next(((1 << index) - 1 for index in range(len(buckets) - 1, -1, -1) if buckets[index]), 0)


# ---- as it is shown ----------------------------------------------------------------------------------


def values(state: SamplerState) -> dict[str, Any]:
    """Every figure as it is, flat, by path. Of histograms: how many, the mean, quantiles of the last ten seconds, and
    the most since the start."""
    found: dict[str, Any] = {path: count.value for path, count in state.counts.items()}
    found |= {path: level.value for path, level in state.levels.items()}
    found |= {path: words.value for path, words in state.words.items()}
    for path, spread in state.spreads.items():
        count = sum(spread.buckets)
        found[path] = {
            "count": count,
            "mean": round(spread.total / count, 3) if count else 0.0,
            **{name: min(quantile(spread.recent, share), spread.most) for name, share in QUANTILES},
            "most": spread.most,
        }
    return dict(sorted(found.items()))


def rates(state: SamplerState) -> dict[str, tuple[float, ...]]:
    """Of every counter what it adds a second, over 1, 10 and 100 s, by path."""
    now = state.at or 0.0
    return {path: shown(count.rates, now - count.born) for path, count in sorted(state.counts.items())}


def lines(state: SamplerState) -> list[dict[str, Any]]:
    """Every queue, the longest first."""
    groups = tuple(sorted({path.split(".")[2] for path in state.levels if path.startswith("store.groups.")}))
    found = [
        queues.picture(queue, state.lines[queue.name], state.at or 0.0)
        for queue in queues_of(groups)
        if queue.name in state.lines
    ]
    return sorted(found, key=lambda one: (-one["length"], one["queue"]))


def row(state: SamplerState) -> dict[str, float]:
    """The last interval as flat numbers, to be kept: of counters what they added a second, levels as they are, of
    histograms quantiles and the most of what the interval added, of queues their ages."""
    found = {path: count.per_s for path, count in state.counts.items()}
    found |= {path: float(level.value) for path, level in state.levels.items()}
    for path, spread in state.spreads.items():
        for name, share in QUANTILES:
            found[f"{path}.{name}"] = float(quantile(spread.added, share))
        found[f"{path}.most"] = float(highest(spread.added))
    for name, line in state.lines.items():
        found[f"age.{name}"] = line.age_s
    return found


assert len(SPANS_S) == 3
