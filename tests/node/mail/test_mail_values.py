"""The small modules: settings, effects, tables, the state's own values, and what the invariants would find."""

import pytest

from node.mail import effects, invariants, numbering
from node.mail.pair import Pair
from node.mail.settings import MailSettings
from node.mail.state import Box, Owed
from node.mail.tables import MAIL
from replication.placed import Placed
from tests.node.mail.core import ALICE, BOB, STREAM, Core


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"window": 4, "pair_share": 5}, "pair_share"),
        ({"message_age_days": 60}, "pair_retention_days"),
        ({"client_retry_days": 30}, "client_retry_days"),
        ({"sync_delay_ms": -1}, "sync_delay_ms"),
        ({"window_bytes": 10}, "window_bytes"),
    ],
)
def test_windows_that_contradict_each_other_are_refused(options: dict[str, int], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        MailSettings(**options)  # type: ignore[arg-type]


def test_every_effect_has_a_code_of_its_own() -> None:
    codes = [value for name, value in vars(effects).items() if name.isupper()]
    assert sorted(codes) == list(range(len(codes)))


def test_the_group_can_be_replicated() -> None:
    Placed(group=MAIL, partitions=1_024, caches=True)


def test_what_waits_for_a_row_is_found_if_it_is_forgotten() -> None:
    core = Core()
    core.pair()
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    core.state.urgent.clear()
    with pytest.raises(AssertionError, match="forgotten"):
        invariants.check(core.state)


def test_bytes_that_nobody_waits_for_are_found() -> None:
    core = Core()
    core.state.held_bytes = 5
    with pytest.raises(AssertionError, match="held for nobody"):
        core.state.check()


def test_a_pair_with_work_for_the_writer_is_dirty() -> None:
    pair = Pair(Box(BOB, 0, 0, 0, known=True), ALICE, STREAM)
    pair.untold = True
    with pytest.raises(AssertionError, match="not dirty"):
        pair.check()


def test_high_climbs_over_what_is_over_and_over_nothing_else() -> None:
    pair = Pair(Box(BOB, 0, 0, 0, known=True), ALICE, STREAM)
    pair.restore([1, [2, 3], [4, 4, 6, 6], 0, 0])
    pair.climb()
    assert pair.high == 4


def test_a_row_comes_back_with_what_the_sender_gave_up() -> None:
    pair = Pair(Box(BOB, 0, 0, 0, known=True), ALICE, STREAM)
    row = [4, [1, 2], [3, 4], 2, 9, [4, 4]]
    pair.restore(row)
    assert pair.row() == row


def test_what_is_owed_is_empty_when_all_is_confirmed() -> None:
    owed = Owed(ALICE, BOB, STREAM)
    assert owed.empty()
    owed.restore([[1, 2], [], 0])
    assert (owed.empty(), owed.stored) == (False, True)
    owed.delivered.remove_range(1, 2)
    assert owed.empty()
