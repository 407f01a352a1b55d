"""Where benchmarks make the directories of what they measure. This module must never know what goes there."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


def must_exist(_kind: Any, path: Path | None) -> None:
    """For `Parameter(validator=…)`: none is made where a slip of the pen names it.

    Raises:
        ValueError: it says what to do.
    """
    if path is not None and not path.is_dir():
        what = "is no directory" if path.exists() else "doesn't exist"
        raise ValueError(f"{path} {what}: make it first, or leave the option out")


Directory = Annotated[
    Path | None,
    Parameter(
        validator=must_exist,
        help="Where the servers' directories are made; it must exist. Default: where temporary files go.",
    ),
]
