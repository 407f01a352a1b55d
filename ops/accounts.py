"""`waystation accounts`: accounts of a node that is stopped."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import trio
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from node.accounts.errors import ImportRefused
from node.accounts.provision import import_accounts, read_accounts
from ops.failures import told
from replication.identity import DamagedIdentity
from store.errors import StoreError

app = App(name="accounts", help="Accounts of a stopped node.")


@app.command(name="import")
def import_(
    file: Annotated[
        Path,
        Parameter(
            help="Lines of JSON: user, key, stream; - reads standard input.", allow_leading_hyphen=True
        ),
    ],
    *,
    data: Annotated[Path, Parameter(help="The node's data directory; made if it isn't there.")] = Path(
        "data"
    ),
) -> None:
    """Add devices in bulk.

    A newer device of a number is never replaced by an older one, and a second run changes nothing.
    """
    console = Console(stderr=True)
    with (
        told(ImportRefused, StoreError, DamagedIdentity, OSError),
        nullcontext(sys.stdin) if str(file) == "-" else file.open(encoding="utf-8") as lines,
        Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TextColumn("{task.completed:,} accounts"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_terminal,
        ) as progress,
    ):
        task = progress.add_task("importing", total=None)
        written = trio.run(
            import_accounts, data, read_accounts(lines), lambda count: progress.update(task, completed=count)
        )
    sys.stdout.write(f"{written} accounts\n")
