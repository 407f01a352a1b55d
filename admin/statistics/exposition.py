"""A sample in Prometheus' text format, version 0.0.4: what a scrape is answered.

Names begin with `waystation_`; counters end in `_total`, units are those of the base (seconds, bytes), and what stood
for braces in a figure's path is a label. Histograms by powers of two become cumulative buckets up to the largest that
was ever used, so that a quantile is as coarse as a factor of two.

Written here and not taken from a client library: the figures are there as values already, and this is all of it.
See https://prometheus.io/docs/instrumenting/exposition_formats/ and .../practices/naming/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from admin.statistics.figures import COUNTER, FIGURES_MAX, Figure
from admin.statistics.queues import drain_s, queues_of
from admin.statistics.series import Count, Level, SamplerState, Spread

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "waystation"

_UNITS: Final = MappingProxyType({"us": ("_us", "_seconds", 1e-6), "ms": ("_ms", "_seconds", 1e-3)})
"""Unit → (how a figure's name ends, how a metric's does, factor)."""
_NOT_A_NAME: Final = re.compile(r"[^a-zA-Z0-9_]")

INFINITE: Final = float("inf")
WHOLE_MAX: Final = 1 << 53
"""Above, a float isn't exact."""

Sample = tuple[str, tuple[tuple[str, str], ...], float]
"""(what follows the metric's name, labels, value)"""


def render(state: SamplerState, *, raised: Iterable[tuple[str, str]] = ()) -> str:
    """The whole answer. raised: (name, kind) of the alarms that stand."""
    families: dict[str, tuple[str, str, list[Sample]]] = {}
    for path, count in state.counts.items():
        _plain(families, path, count)
    for path, level in state.levels.items():
        _plain(families, path, level)
    for path, spread in state.spreads.items():
        _histogram(families, path, spread)
    _queues(families, state)
    families[f"{PREFIX}_alarm"] = (
        "gauge",
        "1 for each alarm that stands.",
        [("", (("alarm", name), ("kind", kind)), 1.0) for name, kind in raised],
    )
    return "".join(_lines(families))


def name_of(figure: Figure, path: str) -> tuple[str, float]:
    """A figure's metric without `_total`, and what its values are multiplied by."""
    parts = [part for part in figure.path if not part.startswith("{")] or path.split(".")
    name = _NOT_A_NAME.sub("_", "_".join((PREFIX, *parts)))
    ends, instead, factor = _UNITS.get(figure.unit, ("", "", 1.0))
    if not ends or not name.endswith(ends):
        return name, 1.0
    return name[: -len(ends)] + instead, factor


def _plain(families: dict[str, tuple[str, str, list[Sample]]], path: str, series: Count | Level) -> None:
    name, kind, factor, labels = _known(series.figure, path)
    family = families.get(name)
    if family is None:
        family = families[name] = (kind, _sentence(series.figure.help), [])
    family[2].append(("", labels, series.value * factor))


@lru_cache(FIGURES_MAX)
def _known(figure: Figure, path: str) -> tuple[str, str, float, tuple[tuple[str, str], ...]]:
    """What doesn't change of a figure: name, type, factor, labels."""
    name, factor = name_of(figure, path)
    labels = figure.labels(tuple(path.split("."))) if figure.path else ()
    if figure.kind == COUNTER:
        return f"{name}_total", "counter", factor, labels
    return name, "gauge", factor, labels


def _histogram(families: dict[str, tuple[str, str, list[Sample]]], path: str, spread: Spread) -> None:
    name, _, factor, labels = _known(spread.figure, path)
    family = families.get(name)
    if family is None:
        family = families[name] = ("histogram", _sentence(spread.figure.help), [])
    samples = family[2]
    below = 0
    last = max((index for index, count in enumerate(spread.buckets) if count), default=0)
    for index in range(min(last + 1, len(spread.buckets) - 1)):  # the last bucket has no upper bound
        below += spread.buckets[index]
        bound = ((1 << index) - 1) * factor
        samples.append(("_bucket", (*labels, ("le", _number(bound))), float(below)))
    count = float(sum(spread.buckets))
    samples += [
        ("_bucket", (*labels, ("le", "+Inf")), count),
        ("_sum", labels, spread.total * factor),
        ("_count", labels, count),
    ]


def _queues(families: dict[str, tuple[str, str, list[Sample]]], state: SamplerState) -> None:
    """Of every queue what its figures don't say themselves; its name and group are labels."""
    length: list[Sample] = []
    age: list[Sample] = []
    drain: list[Sample] = []
    groups = tuple(sorted({path.split(".")[2] for path in state.levels if path.startswith("store.groups.")}))
    for queue in queues_of(groups):
        line = state.lines.get(queue.name)
        if line is None:
            continue
        labels = (("queue", queue.name),)
        length.append(("", labels, line.length))
        age.append(("", labels, line.age_s))
        left = drain_s(line, state.at or 0.0)
        drain.append(("", labels, INFINITE if left is None else left))
    families[f"{PREFIX}_queue_length"] = ("gauge", "Entries of a queue.", length)
    families[f"{PREFIX}_queue_age_seconds"] = ("gauge", "Age of the oldest entry of a queue.", age)
    families[f"{PREFIX}_queue_drain_seconds"] = (
        "gauge",
        "When a queue will be empty at the rates of the last ten seconds; +Inf if it doesn't become shorter.",
        drain,
    )


def _lines(families: dict[str, tuple[str, str, list[Sample]]]) -> Iterator[str]:
    for name, (kind, said, samples) in sorted(families.items()):
        yield f"# HELP {name} {_escaped(said)}\n# TYPE {name} {kind}\n"
        for ending, labels, value in samples:
            yield f"{name}{ending}{_labels(labels)} {_number(value)}\n"


def _labels(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    told = ",".join('{}="{}"'.format(name, _escaped(value).replace('"', '\\"')) for name, value in labels)
    return f"{{{told}}}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _number(value: Any) -> str:
    """As Go's ParseFloat reads it; whole numbers without a point."""
    if value == INFINITE:
        return "+Inf"
    whole = int(value)
    return str(whole) if value == whole and -WHOLE_MAX < whole < WHOLE_MAX else format(value, ".12g")
