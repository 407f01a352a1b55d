"""The figures of `bench tables` as Markdown, for docs/benchmarks.md.

The targets are those of the milestone that replication belongs to. This module must never know how anything is
measured.
"""

from collections.abc import Mapping
from typing import Any, Final

BEGIN: Final = "<!-- figures: written by waystation bench tables -->"
END: Final = "<!-- end of the tables' figures -->"

_HEADLINES: Final = (
    ("asynchronous writes", "async_ratio", "≥ 3"),
    ("… into empty tables", "insert_ratio", ""),
    ("awaited writes", "sync_ratio", "≥ 5"),
    ("… on both nodes' disks before the next, as ours are anyway", "durable_ratio", ""),
    ("transactions of one write", "transaction_ratio", "≥ 5"),
    ("transactions that read and write two records", "update_ratio", "≥ 5"),
    ("four groups in parallel over one", "four_groups_ratio", "≥ 1"),
)
_SYSTEMS: Final = ("waystation", "mnesia")
_MODES: Final = ("fill", "async", "sync", "durable", "transaction", "update")


def markdown(result: Mapping[str, Any]) -> str:
    """Ratios, then every mode and number of writers, then the sizes."""
    systems = [name for name in _SYSTEMS if name in result]
    parts = [_about(result), _headlines(result), _modes(result, systems), _catch_up(result, systems)]
    for what, head in (("sizes", "records"), ("groups", "tables")):
        if any(result[name].get(what) for name in systems):
            parts.append(_sizes(result, systems, what, head))
    parts += [f"Warning: {text}" for text in result["warnings"]]
    return "\n\n".join(part for part in parts if part) + "\n"


def _about(result: Mapping[str, Any]) -> str:
    machine, settings = result["machine"], result["settings"]
    return (
        f"Medians of {result['repeats']} runs: {machine['cores']} cores, Linux {machine['kernel']},"
        f" {machine['filesystem']}, CPython {machine['python']}; {settings['tables'] * settings['keys']:,} records,"
        f" values of {settings['value']} bytes, {settings['tables']} table(s), {settings['storage']}."
    )


def _headlines(result: Mapping[str, Any]) -> str:
    rows = [[what, f"**{result[key]:.2f}**", wanted] for what, key, wanted in _HEADLINES if key in result]
    if "catch_up_records_per_second" in result:
        rows.append(
            [
                "records a second that a returning node catches up",
                f"**{result['catch_up_records_per_second']:,.0f}**",
                "≥ 100,000",
            ]
        )
    return (
        _table(["times Mnesia's rate, each at its best number of writers", "", "wanted"], rows)
        if rows
        else ""
    )


def _modes(result: Mapping[str, Any], systems: list[str]) -> str:
    head = ["mode, writers", "", "per second", "CPU of both", "wire", "disk", "p50", "p99"]
    rows = []
    for mode in _MODES:
        for writers in _numbers(result[systems[0]].get(mode, {})):
            for name in systems:
                figures = result[name].get(mode, {}).get(writers)
                if figures:
                    rows.append([f"{mode}, {writers}", name, *_cells(figures)])
    return _table(head, rows)


def _cells(figures: Mapping[str, Any]) -> list[str]:
    latency = figures.get("latency_ms", {})
    wire = figures["wire_bytes_per_write"]
    return [
        f"{figures['writes_per_s']:,.0f}",
        f"{figures['cpu_us_per_write']:.1f} µs",
        "—" if wire is None else f"{wire:,.0f} B",
        f"{figures['disk_bytes_per_write']:,.0f} B",
        *(f"{latency[name]:.2f} ms" if latency.get(name) is not None else "" for name in ("p50", "p99")),
    ]


def _catch_up(result: Mapping[str, Any], systems: list[str]) -> str:
    rows = [
        [name, f"{found['records']:,.0f}", f"{found['seconds']:.2f} s", f"{found['records_per_s']:,.0f}"]
        for name in systems
        if (found := result[name].get("catch_up"))
    ]
    return (
        _table(["a node returns", "records changed", "until it has all", "per second"], rows) if rows else ""
    )


def _sizes(result: Mapping[str, Any], systems: list[str], what: str, head: str) -> str:
    rows = []
    for size in _numbers(result[systems[0]][what]):
        cells = []
        for name in systems:
            figures = result[name][what].get(size, {})
            cells += [
                f"{figures[mode]['writes_per_s']:,.0f}" if mode in figures else "—"
                for mode in ("fill", "async")
            ]
        rows.append([f"{int(size):,}", *cells])
    heads = [f"{mode} per second, {name}" for name in systems for mode in ("fill", "async")]
    return _table([head, *heads], rows)


def _numbers(of: Mapping[str, Any]) -> list[str]:
    return sorted(of, key=int)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
