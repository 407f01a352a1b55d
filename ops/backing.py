"""The process that makes a backup beside a running node: copies, reads back, says how far it is. See `admin.backup`.

Its words are lines of JSON on standard output. It gives way to everything else on the machine, and removes what it has
begun if it is told to end.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from node.tables import GROUPS, STORE_DIRECTORY
from node.takeover import refuse_former
from ops.copies import CopyRefused, back_up
from ops.manifest import ManifestRefused
from store.backup import Report
from store.errors import StoreError
from store.store import Store

ROOT: Final = Path(__file__).resolve().parents[1]
PROGRAM: Final = (
    sys.executable,
    "-B",
    "-c",
    "import sys; sys.path.insert(0, sys.argv.pop(1)); from ops.backing import main; main()",
    str(ROOT),
)
"""What starts it, from the same files as this process."""
MIB: Final = 1_048_576
SAY_S: Final = 0.2
COPY: Final = "copy "
"""How the steps begin that are held to the rate; what reads back is held by its priority."""


class Throttle:
    """Bytes at a rate: whoever has used more waits until that is what the rate allows."""

    def __init__(
        self,
        bytes_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        assert bytes_per_s > 0
        self._rate = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()

    def use(self, count: int) -> None:
        """Nothing is saved up while nobody uses any."""
        self._free_at = max(self._free_at, self._clock()) + count / self._rate
        self._sleep(max(0.0, self._free_at - self._clock()))


def telling(say: Callable[[dict[str, Any]], None], throttle: Throttle) -> Report:
    """A report that is said now and then, and holds copying to the rate."""
    last: dict[str, int] = {}
    said_at = [-SAY_S]

    def report(what: str, done: int, total: int) -> None:
        if what.startswith(COPY):
            throttle.use(done - last.get(what, 0))
        new = what not in last
        last[what] = done
        if new or time.monotonic() - said_at[0] >= SAY_S:
            said_at[0] = time.monotonic()
            say({"step": what, "done": done, "of": total})

    return report


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _end(_number: int, _frame: object) -> None:
    raise SystemExit(1)


def main() -> None:
    """Arguments: data directory, path of the backup, MiB/s."""
    data, target, rate = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    signal.signal(signal.SIGTERM, _end)
    with suppress(OSError):  # a sandbox may forbid it; then it only isn't as polite
        os.nice(19)
    try:
        tables = data / STORE_DIRECTORY
        refuse_former(tables)
        with Store.open(
            tables, GROUPS, read_only=True, beside=True, discover=True, committer="inline"
        ) as store:
            made = back_up(store, data, target, telling(_say, Throttle(rate * MIB)))
    except (StoreError, CopyRefused, ManifestRefused) as error:
        _say({"error": str(error)})
        sys.exit(1)
    except OSError as error:
        _say({"error": f"{error.filename or target}: {error.strerror or error}; name another place"})
        sys.exit(1)
    _say({"made": made.plain()})
