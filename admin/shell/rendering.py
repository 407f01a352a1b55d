"""A command's result as text: tables that fit the terminal. Knows no commands, only plain data.

For the process of a terminal; rich must never be imported in a node's loop. What a node says is written by others in
part (a client's name of itself, say), so nothing in it may move a cursor or be read as markup.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from admin.shell.plain import clean

WIDE: Final = 10_000
"""The width where no terminal is: lines are as long as they are."""


def console(file: Any, width: int | None = None) -> Console:
    """A console that writes to `file`: as wide as its terminal, or endlessly wide if it is none."""
    made = Console(file=file, highlight=False, markup=False, emoji=False, width=width)
    return (
        made
        if made.is_terminal or width
        else Console(file=file, highlight=False, markup=False, emoji=False, width=WIDE, no_color=True)
    )


def show(result: Any, out: Console) -> None:
    """Write a result for a person."""
    if out.is_terminal:
        _show(result, out)
        return
    with out.capture() as written:
        _show(result, out)
    out.file.write("".join(f"{line.rstrip()}\n" for line in written.get().splitlines()))


def show_told(item: Any, out: Console, node: str = "") -> None:
    """Write what a command tells before its result: a line, however much comes in a second. node: whose it is."""
    if isinstance(item, Mapping):
        text = "  ".join(f"{clean(name)}={_cell(value)}" for name, value in _flat(item) if value is not None)
    else:
        text = _cell(item)
    out.print(Text(f"{clean(node)}: {text}" if node else text))


def _show(result: Any, out: Console) -> None:
    if _is_table(result):
        out.print(_table(result))
    elif isinstance(result, Mapping):
        _show_mapping(result, out)
    elif isinstance(result, list | tuple):
        if not result:
            out.print(Text("nothing"))
        for one in result:
            _show(one, out)
    else:
        out.print(Text(_cell(result) or "done"))


def _is_table(result: Any) -> bool:
    return (
        isinstance(result, Sequence)
        and len(result) > 0
        and all(isinstance(one, Mapping) and one and one.keys() == result[0].keys() for one in result)
        and not any(isinstance(value, Mapping) for one in result for value in one.values())
    )


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in rows[0]:
        numbers = all(_is_number(row[name]) or row[name] is None for row in rows)
        table.add_column(Text(clean(str(name))), justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row.values()))
    return table


def _show_mapping(result: Mapping[str, Any], out: Console) -> None:
    """Two columns; what holds tables is shown below, under its name."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    below = []
    for name, value in _flat(result):
        if _is_table(value):
            below.append((name, value))
        else:
            table.add_row(Text(clean(name), style="bold"), Text(_cell(value)))
    if table.row_count:
        out.print(table)
    for name, rows in below:
        out.print(Text(f"\n{clean(name)}", style="bold"))
        out.print(_table(rows))


def _flat(result: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in result.items():
        path = f"{before}{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{path}.")
        else:
            yield path, value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.3f}".rstrip("0").rstrip(".") if abs(value) < 1e9 else f"{value:.3f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(str(key))}={_cell(one)}" for key, one in value.items()) or "-"
    if isinstance(value, list | tuple):
        return " ".join(_cell(one) for one in value) or "-"
    return clean(str(value))
