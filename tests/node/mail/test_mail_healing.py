"""Merged pairs are told once more, all of them, and their notes go with that."""

from node.mail import effects, healing, loading, receipts
from node.mail.intervals import Intervals
from tests.node.mail.core import ALICE, BOB, CAROL, STREAM, Core

ROW = [9, [1, 4], [4, 8], 3, 0, [8, 8]]
"""gone 1..4; expired 4..8, of which the sender gave up 8; read up to 3"""


def heal(core: Core, keys: list[tuple[int, int, bytes]], after: tuple[int, int, bytes] | None) -> None:
    core.asked(effects.SCAN_UNTOLD)
    healing.found(core.state, 0, keys, after)
    for _, *key in core.asked(effects.LOAD):
        loading.loaded(core.state, tuple(key), ROW, 0, None, 0, known=True)  # type: ignore[arg-type]
    core.no_receipts()


def test_all_that_a_pair_says_is_owed_but_what_the_sender_gave_up() -> None:
    core = Core()
    healing.begin(core.state, 0)
    heal(core, [(BOB, ALICE, STREAM)], None)
    owed = receipts.find(core.state, ALICE, BOB, STREAM)
    assert owed is not None
    assert owed.row() == [[1, 4], [5, 7], 3]
    batch = core.commit()
    assert [pair.key for pair in batch.told] == [(BOB, ALICE, STREAM)]
    assert core.state.healing == {}


def test_the_next_ones_are_looked_for_when_these_are_written() -> None:
    core = Core()
    healing.begin(core.state, 0)
    heal(core, [(BOB, ALICE, STREAM)], (BOB, ALICE, STREAM))
    assert core.asked(effects.SCAN_UNTOLD) == []
    core.commit()
    assert core.asked(effects.SCAN_UNTOLD) == [
        (effects.SCAN_UNTOLD, 0, (BOB, ALICE, STREAM), healing.UNTOLD_PAIRS)
    ]


def test_a_commit_that_fails_keeps_the_note() -> None:
    core = Core()
    healing.begin(core.state, 0)
    heal(core, [(BOB, ALICE, STREAM)], None)
    core.commit(failed=True)
    assert core.state.healing
    core.wait(2_000)
    assert [pair.key for pair in core.commit().told] == [(BOB, ALICE, STREAM)]
    assert not core.state.healing


def test_a_pair_that_cannot_be_read_is_passed_over() -> None:
    core = Core()
    healing.begin(core.state, 0)
    core.asked(effects.SCAN_UNTOLD)
    healing.found(core.state, 0, [(BOB, CAROL, STREAM)], None)
    core.asked(effects.LOAD)
    loading.failed(core.state, (BOB, CAROL, STREAM))
    assert core.state.healing == {}


def test_the_rows_sets_are_not_changed_by_telling() -> None:
    core = Core()
    healing.begin(core.state, 0)
    heal(core, [(BOB, ALICE, STREAM)], None)
    pair = core.state.pairs[BOB, ALICE, STREAM]
    assert pair.expired == Intervals([4, 8])
