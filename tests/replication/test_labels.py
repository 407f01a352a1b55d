"""Records of a table never come into another one that bears its name."""

from __future__ import annotations

import pytest

from replication import labels
from replication.labels import Labels
from store.errors import UnknownTable

FIRST, SECOND = b"first   ", b"second  "


def test_parts_go_out_and_come_in_between_nodes_that_mean_the_same_table() -> None:
    here, there = Labels({"t": FIRST, "u": SECOND}), Labels({"u": SECOND, "t": FIRST})
    parts = [(0, "t", b"blob", 3), (1, "u", b"", 0)]
    sent = here.outward(parts)
    assert [part[1] for part in sent] != ["t", "u"]
    assert there.inward(sent) == parts


def test_what_was_meant_for_a_former_table_never_comes_into_its_successor() -> None:
    here, there = Labels({"t": FIRST}), Labels({"t": SECOND})
    with pytest.raises(UnknownTable, match="not yet"):
        there.inward(here.outward([(0, "t", b"", 1)]))
    there.drop("t")
    there.put("t", FIRST)
    assert there.inward(here.outward([(0, "t", b"", 1)])) == [(0, "t", b"", 1)]


def test_what_still_comes_for_a_dropped_table_is_passed_over_and_holds_nothing_up() -> None:
    here, there = Labels({"t": FIRST, "u": FIRST}), Labels({"t": FIRST, "u": FIRST})
    sent = here.outward([(0, "t", b"", 1), (0, "u", b"", 1)])
    there.drop("t")
    assert there.inward(sent) == [(0, "u", b"", 1)]
    there.put("t", SECOND)
    assert there.inward(sent) == [(0, "u", b"", 1)]


def test_nothing_is_sent_of_a_table_that_is_being_made_or_dropped() -> None:
    here = Labels({"t": FIRST})
    here.drop("t")
    assert here.outward([(0, "t", b"", 1), (0, "new", b"", 1)]) == []
    assert here.label("t") is None


def test_a_table_that_is_put_again_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Labels({"t": FIRST})
    sent = here.outward([(0, "t", b"", 1)])
    here.put("t", FIRST)
    assert here.inward(sent) == [(0, "t", b"", 1)]
    here.drop("t")
    here.drop("t")
    here.put("t", FIRST)
    assert here.inward(sent) == [(0, "t", b"", 1)]


def test_what_is_remembered_of_dropped_tables_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels, "GONE_MAX", 2)
    here = Labels({})
    for number in range(5):
        here.put("t", bytes([number]))
    with pytest.raises(UnknownTable):
        here.inward([(0, "t@00", b"", 1)])
    assert here.inward([(0, "t@03", b"", 1)]) == []
