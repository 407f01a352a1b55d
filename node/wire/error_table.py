"""The error registry as a table of docs/wire-protocol.md: `python -m node.wire.error_table docs/wire-protocol.md`.

Replaces what stands between the page's two markers. This module must never know the rest of the page.
"""

import sys
from pathlib import Path
from typing import Final

from node.wire.errors import CODES

START: Final = "<!-- error codes: from the registry -->\n"
END: Final = "<!-- end of error codes -->\n"


def table() -> str:
    rows = ["| code | name | means | remedy | retry | closes |", "| --- | --- | --- | --- | --- | --- |"]
    rows += (
        f"| {code.number} | `{code.name}` | {code.text} | {code.remedy} "
        f"| {'yes' if code.retry else ''} | {'yes' if code.closes else ''} |"
        for code in CODES
    )
    return "\n".join(rows) + "\n"


def with_table(page: str) -> str:
    """The page with the table as it is now.

    Raises:
        ValueError: the page has not exactly one pair of markers.
    """
    if page.count(START) != 1 or page.count(END) != 1:
        raise ValueError(f"the page needs one line {START.strip()} and one line {END.strip()}")
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    return before + START + table() + END + after


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(with_table(path.read_text()))
