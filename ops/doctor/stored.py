"""The tables: do they open, how full are their maps, and is a sample of the records sound."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from node.tables import GROUPS
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import Patient
from store.backup import verify
from store.directory import MARKER
from store.errors import DirectoryInUse, NewerFormat, OlderFormat, StoreError
from store.limits import StoreSettings
from store.store import Store

ABOUT: Final = "store"
MAP_SHARE_WARNING: Final = 0.8


class _Enough(Exception):
    """The time for a sample is over."""

    def __init__(self, records: int) -> None:
        super().__init__()
        self.records = records


def check(patient: Patient, tell: Callable[[str], None] = lambda _: None) -> Iterator[Finding]:
    if not (patient.store / MARKER).is_file():
        yield skipped(ABOUT, f"{patient.store} holds no tables yet: the node makes them at its first start")
        return
    try:
        yield from _look(patient)
    except (OlderFormat, NewerFormat) as error:
        yield bad(ABOUT, error.args[0], "run the release that made it; see docs/store.md for the way over")
        return
    except StoreError as error:
        yield bad(
            ABOUT, f"it can't be opened: {error}", "restore the last backup if a file is damaged or gone"
        )
        return
    if patient.holder() is not None:
        yield skipped(ABOUT, "records aren't read back while the node runs; a backup reads its copy back")
    elif patient.verify_s > 0:
        yield from _verify(patient, tell)


def _look(patient: Patient) -> Iterator[Finding]:
    with Store.open(
        patient.store, GROUPS, read_only=True, beside=True, discover=True, committer="inline"
    ) as store:
        found = store.info()
    settings = patient.config.store if patient.config is not None else StoreSettings()
    for group in found["groups"].values():
        used = group["used_bytes"]
        if used > MAP_SHARE_WARNING * settings.map_bytes:
            yield warning(
                ABOUT,
                f"group {group['name']} uses {used:,} of {settings.map_bytes:,} bytes of its map",
                "make store.map_bytes larger, which takes a restart and nothing else",
            )
    rows = sum(table["rows"] for group in found["groups"].values() for table in group["tables"].values())
    size = sum(group["used_bytes"] for group in found["groups"].values())
    yield good(ABOUT, f"it opens: {rows:,} rows, {size:,} bytes")


def _verify(patient: Patient, tell: Callable[[str], None]) -> Iterator[Finding]:
    until = time.monotonic() + patient.verify_s
    done: dict[str, int] = {}

    def report(what: str, now: int, total: int) -> None:
        done[what] = now
        tell(f"{what}: {now:,} of {total:,} records")
        if time.monotonic() > until:
            raise _Enough(sum(done.values()))

    try:
        records = verify(patient.store, GROUPS, report)
    except _Enough as enough:
        yield good(
            ABOUT,
            f"the first {enough.records:,} records are sound ({patient.verify_s:g} s; --verify for more)",
        )
    except DirectoryInUse:
        yield skipped(ABOUT, "records aren't read back: another process has it open")
    except StoreError as error:
        yield bad(
            ABOUT,
            f"it is damaged: {error}",
            "look at the disk (`dmesg`, SMART), then restore the last backup",
        )
    else:
        yield good(ABOUT, f"all {records:,} records are sound")
