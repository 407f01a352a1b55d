"""Comparing pairs of nodes with replicated tables: who goes when, how often, and what comes out as ratios.

The systems take turns, each alone on the machine, and must end with the same records. This module must never know
how a system is started.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from attrs import asdict, evolve, field, frozen

from ops.bench.sampling import filesystem_of, machine, median_of
from ops.bench.screen import Screen
from ops.bench.tables_costs import disk_of
from ops.bench.tables_measure import DisagreeError, Measured, Pair, Wanted, best, measure
from ops.bench.tables_node import SPARE_BYTES

Starting = Callable[[Path, int], AbstractContextManager[Pair]]
"""(new directory, number of tables) → the pair, stopped at the end."""

RATIOS: Final = MappingProxyType(
    {
        "insert": "fill",
        "async": "async",
        "sync": "sync",
        "durable": "durable",
        "transaction": "transaction",
        "update": "update",
    }
)
"""Ratio → mode that it is of."""

_OURS: Final = "waystation"
_IN_MEMORY: Final = ("tmpfs", "ramfs")


@frozen
class Setting:
    """What is run.

    Attributes:
        wanted: the main part.
        systems: name → how to start it; ours is among them.
        sizes: keys of a table at which `async` is measured again.
        groups: numbers of tables at which `async` is measured again, with as many keys in all.
        repeat: how often everything is run; the result has the medians.
        directory: where the nodes' directories are made; None: where temporary files go.
    """

    wanted: Wanted
    systems: Mapping[str, Starting]
    sizes: Sequence[int] = ()
    groups: Sequence[int] = ()
    repeat: int = 1
    directory: Path | None = None
    storage: str = "disc"


@frozen
class _Turn:
    """One run of all systems through one part."""

    measured: dict[str, Measured] = field(factory=dict)

    def agreed(self) -> dict[str, Measured]:
        """Raises DisagreeError if the systems ended with different records."""
        found = {name: one.contents for name, one in self.measured.items()}
        if len(set(found.values())) > 1:
            raise DisagreeError(f"the systems hold different records: {found}")
        return self.measured


def compare(setting: Setting, screen: Screen) -> dict[str, Any]:
    """Everything that `setting` asks for.

    Raises:
        DisagreeError: nodes or systems hold different records after the same writes.
        Everything that starting and measuring raises; all that was started has ended then.
    """
    runs = [_run(setting, turn, screen) for turn in range(setting.repeat)]
    warnings = sorted({text for run in runs for text in run.pop("warnings")})
    with tempfile.TemporaryDirectory(dir=setting.directory) as directory:
        filesystem, disk = filesystem_of(Path(directory)), disk_of(Path(directory))
    if filesystem in _IN_MEMORY:
        warnings.append(
            f"the nodes' directories are on {filesystem}, where fsync does nothing: give --directory"
        )
    if disk is None:
        warnings.append(
            "the directories' disk can't be looked at: disk_bytes_per_write is what the kernel charges"
        )
    for text in warnings:
        screen.warn(text)
    return {
        "benchmark": "tables",
        "settings": {
            **asdict(setting.wanted),
            "sizes": list(setting.sizes),
            "groups": list(setting.groups),
            "storage": setting.storage,
            "spare_bytes": SPARE_BYTES,
        },
        "repeats": setting.repeat,
        "machine": {**machine(), "filesystem": filesystem},
        **median_of(runs),
        "warnings": warnings,
        **({"runs": [_headline(run) for run in runs]} if setting.repeat > 1 else {}),
    }


def _run(setting: Setting, turn: int, screen: Screen) -> dict[str, Any]:
    main = _turn(setting, turn, setting.wanted, screen)
    brief = evolve(setting.wanted, returning=0, writes={"async": setting.wanted.writes.get("async", 0)})
    sizes = {str(keys): _turn(setting, turn, evolve(brief, keys=keys), screen) for keys in setting.sizes}
    total = setting.wanted.keys * setting.wanted.tables
    groups = {
        str(tables): _turn(setting, turn, evolve(brief, tables=tables, keys=total // tables), screen)
        for tables in setting.groups
    }
    parts = [main, *sizes.values(), *groups.values()]
    result: dict[str, Any] = {**ratios(main), **_ours(main), **_of_groups(groups, _OURS)}
    for name, measured in main.items():
        result[name] = {
            **{
                mode: {str(n): figures for n, figures in tried.items()}
                for mode, tried in measured.modes.items()
            },
            "catch_up": measured.catch_up,
            "others_cores": measured.others_cores,
            "records": measured.contents.records,
            "sizes": {size: _rates(part[name]) for size, part in sizes.items()},
            "groups": {count: _rates(part[name]) for count, part in groups.items()},
            **_of_groups(groups, name),
        }
    result["warnings"] = [
        f"{name}: {text}" for part in parts for name, one in part.items() for text in one.warnings
    ]
    return result


def _turn(setting: Setting, turn: int, wanted: Wanted, screen: Screen) -> dict[str, Measured]:
    """Every system once; who begins alternates."""
    names = list(setting.systems)
    done = _Turn()
    for name in names if turn % 2 == 0 else reversed(names):
        with (
            tempfile.TemporaryDirectory(prefix="waystation-bench-", dir=setting.directory) as directory,
            setting.systems[name](Path(directory) / name, wanted.tables) as pair,
        ):
            done.measured[name] = measure(pair, wanted, screen)
    agreed = done.agreed()
    return {name: agreed[name] for name in names}


def ratios(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Our rate over the other's: each at the number of writers that suits it best, and at equal numbers."""
    found: dict[str, Any] = {}
    equal: dict[str, Any] = {}
    for theirs in (one for name, one in measured.items() if name != _OURS and _OURS in measured):
        ours = measured[_OURS]
        for ratio, mode in RATIOS.items():
            mine, other = best(ours.modes, mode), best(theirs.modes, mode)
            if mine and other:
                found[f"{ratio}_ratio"] = mine[1]["writes_per_s"] / other[1]["writes_per_s"]
                equal[ratio] = {
                    str(count): figures["writes_per_s"] / theirs.modes[mode][count]["writes_per_s"]
                    for count, figures in ours.modes[mode].items()
                    if count in theirs.modes[mode]
                }
        if ours.catch_up and theirs.catch_up:
            found["catch_up_ratio"] = ours.catch_up["records_per_s"] / theirs.catch_up["records_per_s"]
    if equal:
        found["ratios_by_writers"] = equal
    return found


def _ours(measured: Mapping[str, Measured]) -> dict[str, Any]:
    """Our headline figures."""
    ours = measured.get(_OURS)
    if ours is None:
        return {}
    found: dict[str, Any] = {}
    if (fastest := best(ours.modes, "async")) is not None:
        found |= {
            key: fastest[1][key]
            for key in ("cpu_us_per_write", "wire_bytes_per_write", "disk_bytes_per_write")
        }
    if ours.modes.get("sync"):
        fewest = min(ours.modes["sync"])
        latency = ours.modes["sync"][fewest]["latency_ms"]
        found |= {
            "settled_writers": fewest,
            "settled_p50_ms": latency["p50"],
            "settled_p99_ms": latency["p99"],
        }
    if ours.catch_up is not None:
        found["catch_up_records_per_second"] = ours.catch_up["records_per_s"]
    return found


def _of_groups(groups: Mapping[str, Mapping[str, Measured]], name: str) -> dict[str, float]:
    """The rate with the most tables over the rate with the fewest."""
    if len(groups) < 2 or any(name not in part for part in groups.values()):
        return {}
    few, *_, many = sorted(groups, key=int)
    words = {"1": "one", "2": "two", "4": "four", "8": "eight"}
    return {
        f"{words.get(many, many)}_groups_ratio": _fastest(groups[many][name]) / _fastest(groups[few][name])
    }


def _fastest(measured: Measured) -> float:
    found = best(measured.modes, "async")
    assert found is not None
    return float(found[1]["writes_per_s"])


def _rates(measured: Measured) -> dict[str, Any]:
    """The best of each mode."""
    return {mode: found[1] for mode in measured.modes if (found := best(measured.modes, mode)) is not None}


def _headline(run: Mapping[str, Any]) -> dict[str, Any]:
    """The figures at the top of one run."""
    return {key: value for key, value in run.items() if isinstance(value, int | float)}
