"""The age limit, purges, and the end of what waits for a device that was replaced."""

from node.mail import effects, expiry, numbering
from node.mail.settings import DAY_MS
from node.wire.verbs import KIND_EXPIRED, ONE_COPY
from tests.node.mail.core import ALICE, BOB, NOW, STREAM, Core

KEY = (BOB, ALICE, STREAM)
TODAY = NOW // DAY_MS


def test_what_grew_too_old_is_ended_and_told() -> None:
    core = Core()
    pair = core.pair(high=2, box=(2, 20))
    core.online(ALICE)
    core.asked()
    expiry.aged(core.state, KEY, [(1, 10)])
    core.no_receipts()
    assert core.asked(effects.RECEIPT) == [(effects.RECEIPT, ALICE, BOB, STREAM, KIND_EXPIRED, 1, 1)]
    batch = core.commit()
    assert [n for _, n, _ in batch.deletes] == [1]
    assert (1 in pair.expired, 2 in pair.expired, pair.box.count) == (True, False, 1)


def test_a_pair_is_purged_only_when_it_was_silent_for_long() -> None:
    core = Core(pair_retention_days=60)
    old = TODAY - 61
    core.pair(row=[1, [1, 1], [], 0, old])
    expiry.old_pair(core.state, KEY, TODAY - 60)
    assert core.state.purges == []
    expiry.old_pair(core.state, KEY, old)
    assert core.commit().purged == [(KEY, old)]
    assert core.state.pairs == {}


def test_a_pair_that_changed_since_it_was_found_stays() -> None:
    core = Core()
    core.pair(row=[1, [1, 1], [], 0, TODAY])
    expiry.old_pair(core.state, KEY, TODAY - 61)
    assert core.state.purges == []


def test_a_wipe_answers_what_was_never_written_and_lets_nothing_new_in() -> None:
    core = Core()
    core.pair()
    numbering.send(core.state, ALICE, BOB, STREAM, 1, 1, b"x")
    expiry.wipe(core.state, BOB, 2)
    core.no_receipts()
    assert core.asked(effects.SCAN_WAITING) == []  # what is in memory is written first
    core.asked()
    core.commit()
    assert core.asked(effects.ACCEPTED) == [(effects.ACCEPTED, ALICE, BOB, STREAM, 1, 1, ONE_COPY)]
    (scan,) = core.asked(effects.SCAN_WAITING)
    numbering.send(core.state, ALICE, BOB, STREAM, 2, 2, b"x")
    assert [effect[0] for effect in core.asked()] == [effects.BUSY]
    expiry.waiting(core.state, scan[1], [], None)
    assert core.asked() == [(effects.WIPED, BOB, 2)]
