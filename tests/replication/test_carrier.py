"""A carrier between a real store, committing inline, and a real core: writes, effects, and the end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from replication.claim import Claim
from replication.core import effects, messages, streams
from replication.core.errors import ClaimLost, NoMove
from replication.core.state import LIVE, SERVING
from store.encoded import Encoded
from store.errors import MapFull
from store.schema import Table
from store.writes import PUT
from tests.replication.members import table
from tests.replication.place import ME, PEER, Place, place


def serving(one: Place, heir: bytes | None = None) -> None:
    part = one.state.parts[0]
    part.claim, part.phase, part.copy = Claim(1, ME, heir), SERVING, LIVE


@pytest.mark.parametrize("heir", [None, PEER])
def test_a_transaction_that_wrote_nothing_ends(here: Place, heir: bytes | None) -> None:
    serving(here, heir)
    ended: list[Any] = []
    here.carrier.transact(0, lambda t: t.get("t", (1,)), (), lambda *how: ended.append(how))
    here.run()
    assert ended == [(2 if heir else 1, None, None)]


def test_a_transaction_that_wrote_waits_for_the_heir(here: Place) -> None:
    serving(here, PEER)
    ended: list[Any] = []
    here.carrier.transact(0, lambda t: t.put("t", (1,), 1), (), lambda *how: ended.append(how))
    here.run()
    assert ended == []
    assert here.state.waiting == 1
    # And so does one behind it that has seen what it wrote.
    here.carrier.transact(0, lambda t: t.get("t", (1,)), (), lambda *how: ended.append(how))
    here.run()
    assert ended == []
    assert here.state.waiting == 2


def test_a_transaction_behind_a_write_that_the_heir_has_waits_for_no_other_write(here: Place) -> None:
    """In a cluster at rest no frame comes that could settle it."""
    serving(here, PEER)
    peer = here.state.peers[PEER]
    stream = peer.stream
    stream.session, stream.number, stream.acked_number, stream.opened = 1, 1, 1, {0: 1}
    ended: list[Any] = []
    here.carrier.transact(0, lambda t: t.put("t", (1,), 1), (), lambda *how: ended.append(how))
    here.run()
    (_, frame) = here.sent[-1]
    assert frame[0] == messages.FRAME
    streams.acked(here.state, peer, (messages.ACK, here.state.incarnation, 1, *frame[3:5], 7, 0, 0, ()))
    here.run()
    here.carrier.transact(0, lambda t: t.get("t", (1,)), (), lambda *how: ended.append(how))
    here.run()
    assert ended == [(2, None, None), (2, None, 1)]
    assert here.state.waiting == 0


def test_a_transaction_that_raises_ends_with_what_it_raised(here: Place) -> None:
    serving(here, PEER)
    ended: list[Any] = []

    def fails(transaction: Any) -> None:
        transaction.put("t", (1,), 1)
        raise LookupError("no")

    here.carrier.transact(0, fails, (), lambda *how: ended.append(how))
    here.run()
    ((copies, error, value),) = ended
    assert (copies, type(error), value) == (0, LookupError, None)
    assert here.state.parts[0].writing == 0
    assert here.carrier.group.table("t").range() == []


def test_of_several_transactions_each_ends_in_its_own_way(here: Place) -> None:
    serving(here, PEER)
    ended: dict[str, Any] = {}

    def fails(transaction: Any) -> None:
        transaction.put("t", (1,), 2)
        raise LookupError("no")

    def told(name: str) -> Any:
        return lambda copies, error, value: ended.setdefault(name, (copies, type(error), value))

    calls: list[Any] = [
        (lambda t: t.put("t", (1,), 1), ()),
        (fails, ()),
        (lambda t, key: t.get("t", key), ((1,),)),
    ]
    here.carrier.transact_all(0, calls, [told("puts"), told("fails"), told("looks")])
    here.run()
    assert ended == {"fails": (0, LookupError, None)}
    assert here.state.waiting == 1  # what was looked at is settled with what was written
    here.carrier.close()
    here.run()
    assert ended["puts"] == (0, ClaimLost, None)
    assert ended["looks"] == (0, ClaimLost, 1)
    assert here.state.parts[0].writing == 0


def test_a_transaction_waits_for_the_heir_whatever_one_behind_it_wrote_that_no_other_node_has(
    tmp_path: Path,
) -> None:
    """One of them is too large, so each is committed by itself; the last one's commit is told to nobody."""
    here = place(tmp_path / "here", (table("t"), Table("mine", partitioned=False, local_content=True)))
    serving(here, PEER)
    ended: dict[str, Any] = {}

    def told(name: str) -> Any:
        return lambda copies, error, value: ended.setdefault(name, (copies, type(error)))

    calls: list[Any] = [
        (lambda t: t.put("t", (1,), 1), ()),
        (lambda t: [t.put("t", (2, n), b"x" * 1_000_000) for n in range(20)], ()),
        (lambda t: t.put("mine", (1,), 1), ()),
    ]
    here.carrier.transact_all(0, calls, [told("puts"), told("too large"), told("mine")])
    here.run()
    assert ended == {"too large": (0, MapFull)}
    assert here.state.waiting == 1
    here.store.close()


def test_several_transactions_that_only_look_or_fail_leave_nothing_behind(here: Place) -> None:
    serving(here, None)
    ended: list[Any] = []

    def fails(transaction: Any) -> None:
        raise LookupError("no")

    looks = (lambda t: t.get("t", (1,)), ())
    here.carrier.transact_all(0, [looks, (fails, ())], [lambda *how: ended.append(how)] * 2)
    here.run()
    here.carrier.transact_all(0, [(fails, ())] * 2, [lambda *how: ended.append(how)] * 2)
    here.run()
    assert sorted((copies, type(error).__name__) for copies, error, _ in ended) == [
        (0, "LookupError"),
        (0, "LookupError"),
        (0, "LookupError"),
        (1, "NoneType"),
    ]
    assert (here.state.parts[0].writing, here.state.waiting) == (0, 0)


def test_writes_that_were_encoded_are_durable_before_they_are_settled(here: Place) -> None:
    serving(here)
    durable: list[Any] = []
    settled: list[Any] = []
    writes: Encoded = here.carrier.group.encoded()
    writes.add([(PUT, here.carrier.group.table("t").id, (1,), 1)])
    here.carrier.write_encoded(0, writes, lambda *how: durable.append(how), lambda *how: settled.append(how))
    assert durable == settled == []
    here.run()
    assert durable == settled == [(1, None)]
    assert here.state.parts[0].writing == 0


def test_where_it_is_not_served_nothing_is_written(here: Place) -> None:
    for write in (
        lambda: here.carrier.write(0, [(PUT, here.carrier.group.table("t").id, (1,), 1)], lambda *_: None),
        lambda: here.carrier.write_encoded(0, here.carrier.group.encoded(), lambda *_: None, None),
        lambda: here.carrier.transact(0, lambda t: t.put("t", (1,), 1), (), lambda *_: None),
    ):
        with pytest.raises(ClaimLost, match="ask who is primary"):
            write()
    here.run()
    assert here.state.parts[0].writing == 0
    assert here.carrier.group.table("t").range() == []


def test_effects_that_come_while_effects_are_carried_out_come_after_them(here: Place) -> None:
    order: list[int] = []

    def first(*_: Any) -> None:
        here.state.out.append((effects.DONE, lambda *_: order.append(3), 1, None))
        here.carrier.drain()
        order.append(1)

    here.carry((effects.DONE, first, 1, None), (effects.DONE, lambda *_: order.append(2), 1, None))
    assert order == [1, 2, 3]


def test_closed_it_tells_whoever_waits_whatever_was_under_way(here: Place) -> None:
    serving(here, PEER)
    ended: list[Any] = []
    for _ in range(2):
        here.carrier.transact(0, lambda t: t.put("t", (1,), 1), (), lambda *how: ended.append(how))
        if not here.state.waiting:
            here.run()  # the first waits for the heir, the second for the disk
    here.state.parts[0].move_to = PEER
    here.state.parts[0].move_done = lambda *how: ended.append(how)
    here.carrier.close()
    here.run()
    assert sorted(type(how[1]).__name__ for how in ended) == ["ClaimLost", "ClaimLost", "NoMove"]
    assert any(isinstance(how[1], NoMove) for how in ended)
    assert here.state.waiting == 0
