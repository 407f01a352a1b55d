"""`waystation wsar`: what nodes did, as sar prints it: from their histories, or as it happens.

It reads the files that nodes keep in their data directories, and so needs neither a key nor a node that runs. Nodes
of a list that are on other machines are asked.
"""

import json
import math
import os
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import attrs
from cyclopts import Parameter
from cyclopts.validators import Number

from admin.channel.errors import RosterUnusable
from admin.channel.roster import Entry
from admin.commands.table import CommandError
from admin.commands.words import read_duration
from admin.shell.elsewhere import HistoryElsewhere
from admin.shell.nodes import Nodes
from admin.statistics import columns, layout
from admin.statistics.columns import SETS, Column
from admin.statistics.history import FILE, HistoryReader, HistoryUnreadable
from admin.statistics.layout import MINUTE, SECOND, Record
from admin.statistics.minutes import Minute, add, values_of
from admin.statistics.plot import plot
from ops.admin import KEY, NODE_KEY
from ops.config import ConfigError, read_config
from ops.failures import told, until_nobody_reads
from ops.following import Following, NothingThere, Readable, Shown, name_of
from ops.nodes import entries_of

HEADINGS_EVERY: Final = 25
"""Lines after which the headings are printed again, live."""
PLOT_HEIGHT: Final = 12

Show = Literal["overview", "mail", "hub", "queues", "store", "cluster", "system", "net", "disk"]


@attrs.frozen
class Unread:
    """Stands for a node of the list that has no history to read."""

    why: str

    def names(self) -> list[str]:
        return []

    def records(self, ring: int, since: float = 0.0, until: float = math.inf, after: int = 0) -> list[Record]:
        raise HistoryUnreadable(self.why)

    def newest(self, ring: int, after: int) -> list[Record]:
        raise HistoryUnreadable(self.why)


def wsar(
    interval: Annotated[
        int | None,
        Parameter(validator=Number(gte=1, lte=86_400), help="Live: a line every so many seconds."),
    ] = None,
    count: Annotated[int | None, Parameter(validator=Number(gte=1), help="Live: so many lines.")] = None,
    *,
    data: Annotated[
        list[Path] | None, Parameter(help="A node's data directory; again for another node's.")
    ] = None,
    every_node: Annotated[
        bool,
        Parameter("--all", negative="", help="Every node of the list; those on other machines are asked."),
    ] = False,
    place: Annotated[
        str,
        Parameter(
            "--nodes", help="The list: a file of nodes, or a directory that holds their data directories."
        ),
    ] = "",
    config: Annotated[
        Path | None, Parameter(help="The node's configuration file, for its node.data.")
    ] = None,
    show: Annotated[Show, Parameter(help="Which columns.")] = "overview",
    figure: Annotated[
        list[str] | None, Parameter(help="Columns of your own: a figure; again for more.")
    ] = None,
    last: Annotated[
        str, Parameter(help="How far back: 90s, 10m, 2h, 3d. More than an hour: by minutes.")
    ] = "10m",
    since: Annotated[str, Parameter(help="From this time: 13:05, or 2026-11-23T13:05 …")] = "",
    until: Annotated[str, Parameter(help="… to this one.")] = "",
    every: Annotated[str, Parameter(help="Put so much together in one line, as 10s, 15m.")] = "",
    plotted: Annotated[
        bool, Parameter("--plot", negative="", help="Draw each column instead of printing it.")
    ] = False,
    figures: Annotated[
        bool, Parameter("--list", negative="", help="Only list the figures there are.")
    ] = False,
    as_json: Annotated[
        bool, Parameter("--json", negative="", help="One JSON object a line, all figures.")
    ] = False,
) -> None:
    """What nodes did, second by second, as sar prints it: the last minutes, or live.

    Without an interval the past is printed. Counters are shown as what they added a second.
    """
    with (
        told(ConfigError, HistoryUnreadable, NothingThere, CommandError, RosterUnusable, OSError),
        until_nobody_reads(),
        ExitStack() as stack,
    ):
        chosen = columns.of_figures(figure) if figure else SETS[show]
        known_by = os.environ.get(NODE_KEY, "")
        entries = entries_of((), every=True, place=place, key=_key(), node_key=known_by) if every_node else ()
        if every_node:
            folders = {Path(one.name): one.directory for one in entries if one.directory is not None}
        else:
            folders = {folder: folder for folder in data or [read_config(config).data]}
        readers: dict[Path, Readable] = {
            name: _reader(folder / FILE, stack, one=not every_node) for name, folder in folders.items()
        }
        readers |= _elsewhere(entries, chosen, stack)
        if figures:
            names = sorted({name for reader in readers.values() for name in reader.names()})
            sys.stdout.write("".join(f"{name}\n" for name in names))
            return
        _know(chosen, readers)
        if interval is not None:
            following = Following(readers, interval, count)
            try:
                _print(following.lines(), chosen, named=len(readers) > 1, as_json=as_json)
            finally:
                _tell(following.silent)
            sys.stdout.flush()
            if following.silent:
                sys.exit(1)
            return
        silent: dict[str, str] = {}
        begin = _moment(since) if since else time.time() - read_duration(last, "--last")
        end = _moment(until) if until else math.inf
        lines = list(past(readers, begin, end, read_duration(every, "--every") if every else 0.0, silent))
        _tell(silent)
        if not lines:
            raise NothingThere("nothing was kept in that time: is the node running? ask for more with --last")
        if plotted:
            _draw(lines, chosen)
        else:
            _print(iter(lines), chosen, named=len(readers) > 1, as_json=as_json)
            if not as_json and len(readers) == 1:
                _average(lines, chosen)
        sys.stdout.flush()
        if silent:
            sys.exit(1)


def _reader(path: Path, stack: ExitStack, *, one: bool) -> Readable:
    """Of several, one that can't be read is no other's trouble."""
    try:
        return stack.enter_context(HistoryReader(path))
    except HistoryUnreadable as error:
        if one:
            raise
        return Unread(str(error))


def _tell(silent: Mapping[str, str]) -> None:
    """Who was silent, and why."""
    sys.stdout.flush()
    for name, why in silent.items():
        sys.stderr.write(f"waystation: {name}: {why}\n")


def _key() -> Path | None:
    return Path(os.environ[KEY]) if os.environ.get(KEY) else None


def _elsewhere(
    entries: Sequence[Entry], chosen: Sequence[Column], stack: ExitStack
) -> dict[Path, HistoryElsewhere]:
    """Of nodes on other machines, which are asked for the figures of the columns."""
    far = {entry.name: entry.target for entry in entries if entry.directory is None}
    if not far:
        return {}
    nodes = Nodes(far)
    stack.callback(nodes.close)
    figures = [name for column in chosen for name in (*column.figures, *column.of)]
    return {Path(name): HistoryElsewhere(nodes, name, figures) for name in far}


def _know(chosen: Sequence[Column], readers: Mapping[Path, Readable]) -> None:
    """Figures that a caller names must be there."""
    names = {name for reader in readers.values() for name in reader.names()}
    for column in chosen:
        if len(column.figures) == 1 and column.heading == column.figures[0] and column.heading not in names:
            raise NothingThere(f"no node has a figure {column.heading!r}: --list shows those there are")


def _moment(text: str) -> float:
    """A time of day is today's; without a zone it is this machine's."""
    now = datetime.now().astimezone()
    whole = text if "T" in text or " " in text else f"{now:%Y-%m-%d}T{text}"
    try:
        moment = datetime.fromisoformat(whole)
    except ValueError:
        raise NothingThere(f"{text!r} is no time: write it like 13:05 or 2026-11-23T13:05") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)).timestamp()


def past(
    readers: Mapping[Path, Readable], begin: float, end: float, every_s: float, silent: dict[str, str]
) -> Iterator[Shown]:
    """What was kept between two times, oldest first; by minutes where it began more than an hour ago.

    Args:
        silent: takes up those of several that can't be read, and why.
    """
    ring = SECOND if time.time() - begin <= layout.SECONDS else MINUTE
    found: list[Shown] = []
    for folder, reader in readers.items():
        try:
            records = reader.records(ring, begin, end)
        except HistoryUnreadable as error:
            if len(readers) == 1:
                raise
            silent[name_of(folder)] = str(error)
            continue
        found += _together(name_of(folder), records, reader.names(), every_s)
    found.sort(key=lambda one: one.at)
    return iter(found)


def _together(node: str, records: Sequence[Record], names: Sequence[str], every_s: float) -> Iterator[Shown]:
    """Records that lie in the same stretch of `every_s` become one line; 0: each is one."""
    kept: Minute | None = None
    stretch = at = 0.0
    for record in records:
        values = record.by_name(names)
        if not every_s:
            yield Shown(node, record.at, record.covers_s, values)
            continue
        if kept is not None and record.at // every_s != stretch:
            yield Shown(node, at, kept.covers_s, values_of(kept))
            kept = None
        if kept is None:
            kept = Minute(record.at)
        stretch, at = record.at // every_s, record.at
        add(kept, values, record.covers_s)
    if kept is not None:
        yield Shown(node, at, kept.covers_s, values_of(kept))


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at).astimezone():%H:%M:%S}"


def _print(lines: Iterator[Shown], chosen: Sequence[Column], *, named: bool, as_json: bool) -> None:
    day = ""
    for number, one in enumerate(lines):
        if as_json:
            told_line: dict[str, Any] = {
                "node": one.node,
                "at": one.at,
                "covers_s": round(one.covers_s, 3),
                "figures": {name: round(value, 6) for name, value in sorted(one.values.items())},
            }
            sys.stdout.write(f"{json.dumps(told_line)}\n")
        else:
            today = f"{datetime.fromtimestamp(one.at).astimezone():%Y-%m-%d}"
            if number % HEADINGS_EVERY == 0 or today != day:
                day = today
                sys.stdout.write(f"{columns.headings(chosen, day, _width(one, named=named))}\n")
            first = f"{_clock(one.at)} {one.node}" if named else _clock(one.at)
            sys.stdout.write(f"{columns.line(chosen, first, _width(one, named=named), one.values)}\n")
        sys.stdout.flush()


def _width(one: Shown, *, named: bool) -> int:
    return 11 + (len(one.node) + 1 if named else 0)


def _average(lines: Sequence[Shown], chosen: Sequence[Column]) -> None:
    whole = Minute(0.0)
    for one in lines:
        add(whole, one.values, one.covers_s)
    sys.stdout.write(f"{columns.line(chosen, 'Average:', 11, values_of(whole))}\n")


def _draw(lines: Sequence[Shown], chosen: Sequence[Column]) -> None:
    width = shutil.get_terminal_size((100, 40)).columns
    for node in sorted({one.node for one in lines}):
        mine = [one for one in lines if one.node == node]
        for column in chosen:
            points = [(one.at, column.value(one.values)) for one in mine]
            if all(value is None for _, value in points):
                continue
            sys.stdout.write(f"{node}: {column.heading} ({', '.join(column.figures)})\n")
            sys.stdout.write("".join(f"{row}\n" for row in plot(points, width, PLOT_HEIGHT)))
            first, last = _clock(mine[0].at), _clock(mine[-1].at)
            gap = max(1, min(width, 12 + len(points)) - 12 - len(first) - len(last))
            sys.stdout.write(f"{' ' * 12}{first}{' ' * gap}{last}\n\n")
