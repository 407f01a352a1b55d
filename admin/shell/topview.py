"""A live view as rows of a screen: of all nodes, or more of one. Pure; fits 80 columns and 24 lines, and uses more."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from admin.shell.plain import clean
from admin.shell.screen import Row
from admin.shell.topstate import COLUMNS, TopState

KEYS: Final = "q quit  p pause  s/S sort  r reverse  \u2191\u2193 choose  Enter one node  Esc all  h help"
HELP: Final = (
    "q, Ctrl-C     quit",
    "p, space      pause: the picture stays, the nodes go on",
    "s, S          sort by the next column, by the one before",
    "r             reverse the order",
    "up, down      choose a node (k, j)",
    "Enter         more of the chosen node",
    "Esc, a        all nodes",
    "",
    "in/s          messages taken a second; out/s handed over",
    "tick99        99 % were accepted within so many ms",
    "lag99         99 % of the loop's passes came within so many ms",
    "queue, age    what waits in all queues; how long the oldest does (s)",
    "-             isn't known",
    "lost          the node doesn't answer; it is asked again every second",
    "",
    "any key goes back",
)
_NODE: Final = 11
_MIN_NODES: Final = 3

ONE: Final = (
    ("sessions", "sessions", 0),
    ("connections", "connections", 0),
    ("logins/s", "logins_per_s", 1),
    ("taken/s", "taken_per_s", 0),
    ("delivered/s", "delivered_per_s", 0),
    ("acks/s", "acks_per_s", 0),
    ("busy/s", "busy_per_s", 1),
    ("pending", "pending", 0),
    ("KiB/s in", "kib_in_per_s", 0),
    ("KiB/s out", "kib_out_per_s", 0),
    ("accepted p99 ms", "accepted_ms_p99", 0),
    ("delivery p99 ms", "delivery_ms_p99", 0),
    ("lag p99 ms", "lag_ms_p99", 1),
    ("lag most ms", "lag_ms_most", 1),
    ("late ms", "late_ms", 1),
    ("cpu %", "cpu_percent", 0),
    ("of the loop %", "loop_cpu_percent", 0),
    ("memory %", "memory_percent", 1),
    ("resident MB", "resident_mb", 0),
    ("disk free %", "disk_free_percent", 1),
)
OF_MEMBERS: Final = (
    ("members", "members", 0),
    ("members alive", "members_alive", 0),
    ("partitions", "partitions_served", 0),
    ("unserved", "partitions_unserved", 0),
    ("at one copy", "partitions_at_one_copy", 0),
    ("copies lag rows", "copies_lag_rows", 0),
    ("copies lag s", "copies_lag_s", 1),
    ("links down", "links_down", 0),
)
"""The same, of a member of a cluster."""
"""What of one node is shown: title, what of its picture, digits."""


def view(state: TopState, now: float, wall: float, width: int, height: int) -> list[Row]:
    """Exactly `height` rows at most.

    Args:
        now: of the clock that `TopState.take` is given. wall: seconds since 1970.
    """
    rows = [_title(state, now, wall)]
    if state.helping:
        rows += [Row(line) for line in HELP]
    elif state.single:
        rows += _one(state, now, wall, width, height - 2)
    else:
        rows += _all(state, now, wall, width, height - 2)
    rows = rows[: height - 1]
    rows += [Row("")] * (height - 1 - len(rows))
    return [*rows, Row(KEYS[:width], "dim")]


def _title(state: TopState, now: float, wall: float) -> Row:
    lost = sum(state.is_lost(name, now) for name in state.nodes)
    parts = [f"waystation top  {time.strftime('%H:%M:%S', time.localtime(wall))}"]
    parts.append(f"{len(state.nodes)} nodes" if len(state.nodes) > 1 else clean(state.chosen))
    if lost:
        parts.append(f"{lost} lost")
    if len(state.nodes) > 1 and not state.single:
        parts.append(f"by {state.sort}{' reversed' if state.reverse else ''}")
    if state.paused:
        parts.append("PAUSED")
    return Row("  ".join(parts), "alarm" if lost else "bold")


def _all(state: TopState, now: float, wall: float, width: int, room: int) -> Iterator[Row]:
    node = max(_NODE, width - sum(size for _, _, size in COLUMNS))
    names = state.ordered()
    below = _queues(state, names, now, named=True) + _alarms(state, names, wall, named=True)
    shown = max(_MIN_NODES, min(len(names), room - 3 - min(len(below), room // 2)))
    first = min(max(0, names.index(state.chosen) - shown + 1), max(0, len(names) - shown))
    yield Row("node".ljust(node) + "".join(heading.rjust(size) for heading, _, size in COLUMNS), "heading")
    for name in names[first : first + shown]:
        yield _line(state, name, now, node)
    if len(names) > 1:
        yield Row(_figures(f"all {len(names)}".ljust(node), _sums(state)), "bold")
    if len(names) > shown:
        yield Row(f"{len(names) - shown} more: choose with up and down", "dim")
    yield from below


def _line(state: TopState, name: str, now: float, node: int) -> Row:
    seen = state.nodes[name]
    label = clean(name)[: node - 1].ljust(node)
    lost = state.is_lost(name, now)
    if lost:
        ago = f"lost, last heard {now - seen.at:.0f} s ago: " if seen.picture is not None else "lost: "
        text = f"{label}{ago}{clean(seen.error) or 'it says nothing'}"
    elif seen.picture is None:
        text = f"{label}…"
    else:
        text = _figures(label, seen.figures())
    if name == state.chosen and len(state.nodes) > 1:
        return Row(text, "chosen")
    return Row(text, "alarm" if lost or (seen.picture or {}).get("alarms_raised") else "plain")


def _figures(label: str, figures: Mapping[str, float | None]) -> str:
    return label + "".join(_number(figures.get(name), size - 1).rjust(size) for _, name, size in COLUMNS)


def _sums(state: TopState) -> dict[str, float | None]:
    """Of what can be added up, the sum; of the others, the most."""
    found = [seen.figures() for seen in state.nodes.values() if seen.picture is not None]
    sums: dict[str, float | None] = {}
    for _, name, _ in COLUMNS:
        values = [value for figures in found if (value := figures.get(name)) is not None]
        most = name in ("accepted_ms_p99", "lag_ms_p99", "age_s")
        sums[name] = (max(values) if most else sum(values)) if values else None
    return sums


def _one(state: TopState, now: float, wall: float, width: int, room: int) -> Iterator[Row]:
    name = state.chosen
    seen = state.nodes[name]
    label = clean(name)
    if state.is_lost(name, now):
        yield Row(f"{label}: lost: {clean(seen.error) or 'it says nothing'}", "alarm")
    if seen.picture is None:
        return
    picture = seen.picture
    up = f"up {_span(picture['up_s'])}" if "up_s" in picture else ""
    marks = "  ".join(filter(None, (up, "draining" if picture.get("draining") else "")))
    yield Row(f"{label}  {picture.get('node', '')[:16]}  {picture.get('version', '')[:12]}  {marks}", "bold")
    figures = {**picture, **seen.figures()}
    shown = ONE if figures.get("members") is None else ONE + OF_MEMBERS
    cells = [f"{title:<16}{_number(figures.get(key), 9, digits):>9} " for title, key, digits in shown]
    per_row = max(1, width // len(cells[0]))
    down = -(-len(cells) // per_row)
    for row in range(down):
        yield Row("".join(cells[row::down]).rstrip())
    yield from _queues(state, [name], now, named=False)
    yield from _alarms(state, [name], wall, named=False)


def _queues(state: TopState, names: Sequence[str], now: float, *, named: bool) -> list[Row]:
    """The longest first, of nodes that answer."""
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name in names:
        picture = state.nodes[name].picture
        if picture is not None and not (named and state.is_lost(name, now)):
            found += ((name, queue) for queue in picture["queues"])
    if not found:
        return []
    found.sort(key=lambda one: -one[1]["length"])
    first = "node".ljust(_NODE) if named else ""
    rows = [
        Row(
            f"{first}{'queue':<20}{'length':>9}{'in/s':>9}{'out/s':>9}{'age s':>8}{'empty in s':>12}",
            "heading",
        )
    ]
    for name, queue in found:
        label = clean(name)[: _NODE - 1].ljust(_NODE) if named else ""
        sizes = (("length", 9), ("in_per_s", 9), ("out_per_s", 9), ("age_s", 8), ("drain_s", 12))
        cells = "".join(_number(queue[key], size - 1).rjust(size) for key, size in sizes)
        rows.append(Row(f"{label}{clean(queue['queue'])[:19]:<20}{cells}"))
    return rows


def _alarms(state: TopState, names: Sequence[str], wall: float, *, named: bool) -> list[Row]:
    found = [
        (alarm["since"], f"{f'{clean(name)}: ' if named else ''}{clean(alarm['text'])}")
        for name in names
        for alarm in (state.nodes[name].picture or {}).get("alarms", ())
    ]
    return [
        Row(f"ALARM for {_span(max(0.0, wall - since))}  {text}", "alarm") for since, text in sorted(found)
    ]


def _number(value: float | None, size: int, digits: int = 0) -> str:
    """In so many characters at most: thousands become k, M or G."""
    if value is None:
        return "-"
    if not digits and 0 < abs(value) < 10 and value != int(value):
        digits = 1
    text = f"{value:,.{digits}f}"
    for unit, factor in (("k", 1e3), ("M", 1e6), ("G", 1e9)):
        if len(text) <= size:
            break
        text = f"{value / factor:.1f}{unit}"
    return text


def _span(seconds: float) -> str:
    """Short: 12 s, 5 m, 3 h, 2 d."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
