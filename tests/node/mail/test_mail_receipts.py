"""What senders are still to be told."""

from node.mail import effects, receipts
from node.wire.verbs import KIND_DELIVERED, KIND_EXPIRED
from tests.node.mail.core import ALICE, BOB, STREAM, Core


def owe(core: Core, kind: int, first: int, last: int) -> None:
    receipts.owe(core.state, core.pair(), kind, first, last)
    core.no_receipts()


def told(core: Core) -> list[tuple[object, ...]]:
    return [effect[4:] for effect in core.asked(effects.RECEIPT)]


def test_who_is_there_is_told_at_once_and_who_is_not_at_login() -> None:
    core = Core()
    owe(core, KIND_DELIVERED, 1, 2)
    assert told(core) == []
    handle = core.online(ALICE)
    assert told(core) == [(KIND_DELIVERED, 1, 2)]
    core.asked(effects.SCAN_OWED)
    receipts.scanned(core.state, ALICE, handle, [], None)
    owe(core, KIND_EXPIRED, 3, 3)
    assert told(core) == [(KIND_EXPIRED, 3, 3)]


def test_it_is_told_again_until_it_is_confirmed() -> None:
    core = Core()
    owe(core, KIND_DELIVERED, 1, 1)
    core.commit()
    assert core.state.owed == {}, "the store knows it as well"
    row = [[1, 1], [], 0]
    for _ in range(2):
        handle = core.online(ALICE)
        core.asked(effects.SCAN_OWED)
        receipts.scanned(core.state, ALICE, handle, [(BOB, STREAM, row)], None)
        assert told(core) == [(KIND_DELIVERED, 1, 1)]
    assert receipts.confirm(core.state, ALICE, BOB, STREAM, KIND_DELIVERED, 1, 1)
    batch = core.commit()
    assert [kept for _, kept in batch.owed] == [False]


def test_a_former_devices_receipts_are_not_the_next_ones() -> None:
    core = Core()
    owe(core, KIND_DELIVERED, 1, 1)
    core.online(ALICE, stream=b"another.")
    assert told(core) == []


def test_a_pair_waits_for_its_receipts_to_be_loaded() -> None:
    core = Core()
    pair = core.pair()
    receipts.owe(core.state, pair, KIND_DELIVERED, 1, 1)
    from node.mail import writebehind

    writebehind.mark(core.state, pair)
    core.wait(1_000)
    assert core.batch() is None
    core.no_receipts()
    batch = core.commit()
    assert batch.pairs == [pair]
    assert len(batch.owed) == 1
