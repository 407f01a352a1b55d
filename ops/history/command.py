"""`waystation check-history`: the checker for whoever has a history, from our tests or from theirs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ops.history.reader import UnreadableHistoryError
from ops.history.report import check_files


def check_history(
    *files: Path, as_json: Annotated[bool, Parameter(name="--json", negative="")] = False
) -> int:
    """Check histories against the promises; exit status 0 if all held, 1 if one was broken, 2 if unreadable.

    Parameters
    ----------
    files:
        History files, or directories of `*.jsonl` files: all processes of one run together.
    as_json:
        Print the verdict as JSON.
    """
    if not files:
        print(
            "check-history: no history was named: give files, or a directory of *.jsonl files",
            file=sys.stderr,
        )
        return 2
    try:
        report = check_files(list(files))
    except (UnreadableHistoryError, OSError) as error:
        print(f"check-history: {error}", file=sys.stderr)
        return 2
    print(json.dumps(report.as_json(), indent=1) if as_json else report.as_text())
    return 0 if report.good else 1
