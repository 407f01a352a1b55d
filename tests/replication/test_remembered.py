"""All that a replica wrote down is read when it starts, however much it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from replication import tables
from replication.tables import REPLICA, remembered
from store.limits import StoreSettings
from store.schema import Group
from store.store import Store
from store.writes import PUT


@pytest.mark.parametrize("rows", [0, 9, 10, 11, 35])
def test_more_rows_than_a_piece_are_all_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(tables, "PIECE_ROWS", 10)
    settings = StoreSettings(map_bytes=16 << 20)
    with Store.open(tmp_path, [Group("g", (REPLICA,))], settings=settings, committer="inline") as store:
        group = store.group("g")
        table = group.table(REPLICA.name)
        written = [(("copy", p), [0, 0]) for p in range(rows)]
        for key, value in written:
            group.submit([(PUT, table.id, key, value)], lambda _: None)
        store.deliver_results()
        assert list(remembered(table)) == written
