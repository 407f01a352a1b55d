"""`bench tables`: how fast tables are replicated to a second node, and what a write costs; against Mnesia.

docs/benchmarks.md says what each key means and what is fair. This module only turns options into calls.
"""

import sys
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from cyclopts import App, Parameter
from cyclopts.validators import Number

from ops.bench.comparison import terminated_as_interrupted
from ops.bench.mnesia import MnesiaMissingError, MnesiaPair, MnesiaStartError, Tuning, find_mnesia
from ops.bench.node_process import NodeStartError
from ops.bench.places import Directory
from ops.bench.process import ProcessGoneError
from ops.bench.report import MarkersMissingError, place
from ops.bench.screen import Screen, print_result
from ops.bench.tables_comparison import Setting, Starting, compare
from ops.bench.tables_measure import DisagreeError, Wanted
from ops.bench.tables_plan import WRITERS_MAX, Mode
from ops.bench.tables_process import TableNodeError
from ops.bench.tables_report import BEGIN, END, markdown
from ops.bench.tables_waystation import WaystationPair

app = App(name="tables", help="Measure replicated tables: two nodes, same records, Mnesia beside them.")

_FAILURES: Final = (
    DisagreeError,
    MarkersMissingError,
    MnesiaMissingError,
    MnesiaStartError,
    NodeStartError,
    ProcessGoneError,
    TableNodeError,
)
_PARTS: Final = MappingProxyType[Mode, int](
    {"async": 1, "sync": 3, "durable": 30, "transaction": 10, "update": 15}
)
"""A mode makes this part of --writes: one for which somebody waits takes longer."""

Storage = Literal["disc", "ram"]


@app.default
def command(
    *,
    against: Annotated[
        Literal["mnesia"] | None,
        Parameter(help="Measure Erlang's Mnesia, too. It is taken from the system's packages."),
    ] = None,
    only: Annotated[
        Literal["both", "waystation", "mnesia"],
        Parameter(help="With --against: whom to measure. Ratios need both."),
    ] = "both",
    tables: Annotated[int, Parameter(validator=Number(gte=1, lte=64), help="Tables, each a group.")] = 1,
    keys: Annotated[
        int, Parameter(validator=Number(gte=100, lte=100_000_000), help="Records in all tables together.")
    ] = 100_000,
    value: Annotated[int, Parameter(validator=Number(gte=8, lte=60_000), help="Bytes of a value.")] = 150,
    writers: Annotated[
        tuple[int, ...],
        Parameter(
            validator=Number(gte=1, lt=WRITERS_MAX),
            help="How many write at a time; each mode is run with each, and the best counts.",
            consume_multiple=True,
        ),
    ] = (16, 1_024, 4_000),
    writes: Annotated[
        int,
        Parameter(validator=Number(gte=1_000), help="Asynchronous writes; the other modes make parts of it."),
    ] = 600_000,
    returning: Annotated[
        int,
        Parameter(
            validator=Number(gte=0),
            help="Records that change while the second node is away, at most those there are; 0: leave it out.",
        ),
    ] = 100_000,
    sizes: Annotated[
        str,
        Parameter(help="Numbers of records, with commas, at which asynchronous writes are measured again."),
    ] = "",
    groups: Annotated[
        str, Parameter(help="Numbers of tables, with commas, over which the same records are spread.")
    ] = "1,4",
    storage: Annotated[
        Storage, Parameter(help="Where the records are kept: disc_copies or ram_copies.")
    ] = "disc",
    dump_log_writes: Annotated[
        int, Parameter(validator=Number(gte=1), help="Mnesia's dump_log_write_threshold; its own is 1,000.")
    ] = Tuning().dump_log_write_threshold,
    repeat: Annotated[
        int,
        Parameter(validator=Number(gte=1, lte=1_000), help="Run it so often; the result has the medians."),
    ] = 1,
    directory: Directory = None,
    into: Annotated[
        Path | None, Parameter(help="Markdown file whose figures of tables are replaced, besides.")
    ] = None,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Replicated writes a second, asynchronous, awaited and in transactions; what one costs; a node that returns."""
    try:
        with terminated_as_interrupted():
            wanted = Wanted(
                tables=tables,
                keys=keys // tables,
                value=value,
                writers=sorted(set(writers)),
                writes={mode: writes // part for mode, part in _PARTS.items()},
                returning=min(returning, keys // tables * tables),
            )
            setting = Setting(
                wanted,
                systems(against, only, storage, dump_log_writes),
                sizes=_numbers(sizes),
                groups=_numbers(groups),
                repeat=repeat,
                directory=directory,
                storage=storage,
            )
            result = compare(setting, Screen())
            print_result(result, as_json=as_json)
            if into is not None:
                place(markdown(result), into, BEGIN, END)
    except _FAILURES as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def systems(
    against: Literal["mnesia"] | None,
    only: Literal["both", "waystation", "mnesia"],
    storage: Storage,
    dump_log_writes: int,
) -> dict[str, Starting]:
    """How to start those who are measured.

    Raises:
        MnesiaMissingError: before anything is started.
    """
    found: dict[str, Starting] = {}
    if against is None or only != "mnesia":
        found["waystation"] = lambda path, tables: WaystationPair.start(path, tables, storage=storage)
    if against == "mnesia" and only != "waystation":
        find_mnesia()
        tuning = Tuning(dump_log_write_threshold=dump_log_writes)
        kind: Literal["disc_copies", "ram_copies"] = "disc_copies" if storage == "disc" else "ram_copies"
        found["mnesia"] = lambda path, tables: MnesiaPair.start(path, tables, storage=kind, tuning=tuning)
    return found


def _numbers(text: str) -> list[int]:
    try:
        found = [int(word) for word in text.split(",") if word.strip()]
    except ValueError:
        found = [0]
    if any(number < 1 for number in found):
        sys.exit(f"waystation: {text!r} should be numbers with commas between them, such as 10000,100000")
    return found


if __name__ == "__main__":
    sys.exit(app())
