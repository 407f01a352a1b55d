"""`bench mailbox`: a million messages wait for recipients who aren't there, then all are fetched.

Besides what `ops.bench.waiting` measures, it looks into the node's LMDB files for what messages and pairs take on
disk. This module must never know a protocol.
"""

from pathlib import Path
from typing import Any, Final

import lmdb

from ops.bench import waiting
from ops.bench.process import disk_bytes
from ops.bench.screen import Screen
from ops.bench.server import Server

_DATABASES_MAX: Final = 256


def measure(server: Server, wanted: waiting.Waiting, screen: Screen) -> dict[str, Any]:
    """Store, drain, and look at the files before and after.

    Raises:
        LoadError, NotAllArrivedError: as `waiting.measure`.
    """
    before = tables_in(server.data)
    full: dict[str, dict[str, int]] = {}

    def look() -> None:
        full.update(tables_in(server.data))

    result = waiting.measure(server, wanted, screen, when_stored=look)
    after = tables_in(server.data)
    held = _bytes(full) - _bytes(before)
    kept = _bytes(after) - _bytes(before)
    about = result.pop("about")
    return {
        **result,
        "disk_bytes_per_message": result["store"]["disk_bytes_per_message"],
        "record_bytes_per_message": held / result["messages"],
        "record_bytes_per_pair": kept / result["pairs"],
        "write_amplification": result["store"]["write_amplification"],
        "disk_bytes": disk_bytes(server.data),
        "tables": {
            name: {
                "entries_stored": full.get(name, {}).get("entries"),
                "bytes_stored": full.get(name, {}).get("bytes"),
                "entries_drained": sizes["entries"],
                "bytes_drained": sizes["bytes"],
            }
            for name, sizes in sorted(after.items())
        },
        "about": about,
    }


def tables_in(data: Path) -> dict[str, dict[str, int]]:
    """Directory/database → entries, and bytes of the pages in use, for every LMDB environment below `data`.

    A reader of its own in each environment, which a node that has it open doesn't notice.
    """
    found = {}
    for path in sorted(data.rglob("data.mdb")):
        folder = path.parent
        with lmdb.open(
            str(folder), readonly=True, create=False, max_dbs=_DATABASES_MAX, lib_version=0
        ) as environment:
            with environment.begin() as main:
                names = [bytes(key) for key, _ in main.cursor()]
            for name in names:
                try:
                    database = environment.open_db(name, create=False)
                except lmdb.Error:
                    continue  # a plain entry of the main database
                with environment.begin(database) as transaction:
                    sizes = transaction.stat(database)
                pages = sizes["branch_pages"] + sizes["leaf_pages"] + sizes["overflow_pages"]
                label = f"{folder.relative_to(data)}/{name.decode(errors='replace')}"
                found[label] = {"entries": sizes["entries"], "bytes": pages * sizes["psize"]}
    return found


def _bytes(tables: dict[str, dict[str, int]]) -> int:
    return sum(sizes["bytes"] for sizes in tables.values())
