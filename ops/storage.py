"""`waystation store`: a look at a node's tables, backup, restore, dump and load.

`info`, `backup` and `dump` also work while the node runs; `verify`, `restore` and `load` want it stopped.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from node.tables import GROUPS, STORE_DIRECTORY
from node.takeover import refuse_former
from ops.copies import CopyRefused, back_up, bring_back, load_dump
from ops.failures import told
from ops.manifest import ManifestRefused
from store import backup as backups
from store import dump as dumps
from store.backup import Report
from store.errors import StoreError
from store.store import Store

app = App(name="store", help="Tables of a node: info, verify, backup, restore, dump, load.")

Data = Annotated[Path, Parameter(help="The node's data directory (node.data of its configuration).")]
AsJson = Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")]

_HERE = Path("data")
_FLAGS = ("tombstones", "local_content", "read_only", "insert_only", "made_at_run_time")


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the store, and of the files and directories that were named, as one line."""
    with told(StoreError, CopyRefused, ManifestRefused):
        try:
            yield
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise CopyRefused(
                f"{where}{error.strerror or error}; name another place, or make this one usable"
            ) from error


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar for each step on a terminal, nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as shown:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done, total=max(done, total))

        yield report


def _look(data: Path, *, discover: bool = False) -> Store:
    """Open for reading, beside a node that may be running."""
    path = data / STORE_DIRECTORY
    refuse_former(path)
    return Store.open(path, GROUPS, read_only=True, beside=True, discover=discover, committer="inline")


def _say(as_json: bool, text: str, **facts: Any) -> None:
    sys.stdout.write((json.dumps(facts) if as_json else text) + "\n")


@app.command
def info(*, data: Data = _HERE, as_json: AsJson = False) -> None:
    """What is stored: groups, tables, rows, bytes. Works while the node runs."""
    with _told(), _look(data, discover=True) as store:
        found = store.info()
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
        return
    table = Table(title=found["path"])
    for name in ("group", "table", "kind", "storage", "declared", "indexes"):
        table.add_column(name)
    table.add_column("rows", justify="right")
    table.add_column("bytes of the group", justify="right")
    for group in found["groups"].values():
        for position, (name, one) in enumerate(group["tables"].items()):
            size = f"{group['used_bytes']:,}" if position == 0 else ""
            table.add_row(
                group["name"],
                name,
                one["kind"],
                one["storage"],
                _flags(one),
                _indexes(one),
                f"{one['rows']:,}",
                size,
            )
        if not group["tables"]:
            table.add_row(group["name"], "", "", "", "no tables", "", "", f"{group['used_bytes']:,}")
    Console().print(table)


def _flags(table: dict[str, Any]) -> str:
    words = [name.replace("_", " ") for name in _FLAGS if table[name]]
    words += ["one partition"] if not table["partitioned"] else []
    words += [f"merge {table['merge']}"] if table["merge"] else []
    return ", ".join(words)


def _indexes(table: dict[str, Any]) -> str:
    return ", ".join(
        name if one["complete"] else f"{name} (being built)" for name, one in table["indexes"].items()
    )


@app.command
def verify(*, data: Data = _HERE, as_json: AsJson = False) -> None:
    """Read every record and check it against its checksum, its indexes and the list of changes."""
    with _told(), _progress() as report:
        refuse_former(data / STORE_DIRECTORY)
        records = backups.verify(data / STORE_DIRECTORY, GROUPS, report, discover=True)
        _say(as_json, f"{records:,} records, all sound", records=records)


@app.command
def backup(
    target: Annotated[Path, Parameter(help="Directory to make; a data directory of its own.")],
    *,
    data: Data = _HERE,
    as_json: AsJson = False,
) -> None:
    """Copy the tables, and the certificate and keys that the node made, also while it runs; then read the copy back.

    It holds message bodies, the cluster's secret and the private keys: guard it.
    """
    with _told(), _progress() as report, _look(data, discover=True) as store:
        records = back_up(store, data, target, report).records
        _say(as_json, f"{records:,} records in {target}", records=records, target=str(target))


@app.command
def restore(
    source: Annotated[Path, Parameter(help="What `backup` made.")],
    *,
    data: Data = _HERE,
    as_json: AsJson = False,
) -> None:
    """Make a data directory's tables, certificate and keys from a backup, having checked and read it in full.

    There must be no tables yet, and no other certificate or key.
    """
    with _told(), _progress() as report:
        records = bring_back(source, data, report)
        _say(as_json, f"{records:,} records in {data}", records=records, data=str(data))


@app.command
def dump(
    target: Annotated[Path, Parameter(help="File to make.")], *, data: Data = _HERE, as_json: AsJson = False
) -> None:
    """Write all tables to one portable file, also while the node runs.

    It holds message bodies and the cluster's secret: guard it.
    """
    with _told(), _progress() as report, _look(data) as store:
        if not target.absolute().parent.is_dir():
            raise CopyRefused(
                f"there is no directory {target.absolute().parent}: make it, or name another place"
            )
        records = dumps.dump(store, target, report)
        _say(as_json, f"{records:,} records in {target}", records=records, target=str(target))


@app.command
def load(
    source: Annotated[Path, Parameter(help="What `dump` made.")],
    *,
    data: Data = _HERE,
    as_json: AsJson = False,
) -> None:
    """Apply a dump to a stopped node's tables, made if there are none. The dump is checked in full first.

    Newer records stay, so loading twice is the same as once.
    """
    with _told(), _progress() as report:
        records = load_dump(source, data, report)
        _say(as_json, f"{records:,} records into {data}", records=records, data=str(data))
