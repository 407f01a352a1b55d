"""What a node alone has comes to the primary, whatever happens before it has asked; and acks prove no more than they
do."""

from typing import Any

import pytest

from replication.core import messages, purging, replica
from replication.core.state import SILENT
from tests.replication.core.stand import Stand


def test_what_was_written_on_the_losing_side_is_offered_again_after_a_crash() -> None:
    stand = Stand(3, check_ms=0).ready()
    stand.split("AC", "B")
    stand.see()
    stand.run(3_000)
    stand.crash("C")  # for another claim of A: the higher one
    stand.see()
    stand.run(3_000)
    stand.start("C")
    stand.run(4_000)
    ended = stand["B"].write(0, "k", "of B")
    stand["B"].disk()
    assert ended == [(1, None)]
    stand.heal()
    stand.losing = frozenset({messages.OFFER})
    stand.see()
    stand.run(300)
    assert stand.claim("B").primary == b"A"
    stand.crash("B")
    stand.see()
    stand.run(200)
    stand.losing = frozenset()
    stand.start("B")
    stand.run(10_000)
    assert stand["A"].store.values(0) == {"k": "of B"}


def test_an_ack_says_so_when_the_peer_itself_has_changed_what_the_stream_carries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The peer is primary by now, and only its ack gets through."""
    stand = Stand(2, partitions=2, check_ms=0).ready()
    moved: list[int] = []
    replica.move(stand["B"].state, 1, b"A", lambda copies, error: moved.append(copies))
    stand["B"].carry_out()
    stand.run(3_000)
    stand["A"].write(0, "a", 1)
    stand["A"].write(1, "b", 1)
    stand.run(3_000)
    known = stand["A"].state.peers[b"B"].known
    assert known.echo.members == {0, 1}
    send = stand.send

    def lossy(sender: bytes, receiver: bytes, message: Any) -> None:
        if sender == b"A" or message[0] in (messages.ACK, messages.PULL):
            send(sender, receiver, message)

    monkeypatch.setattr(stand, "send", lossy)
    replica.move(stand["A"].state, 0, b"B", lambda copies, error: None)
    stand["A"].carry_out()
    stand.run(300)
    assert stand.servers(0) == "B"
    assert stand.claim("A").primary == b"A"
    stand["B"].write(0, "mine", "of B")
    stand["B"].disk()
    at = stand["B"].store.sequence
    stand["A"].write(1, "b", 2)
    stand["A"].disk()
    stand.deliver("A", "B")
    stand["B"].disk()
    stand.deliver("B", "A")
    assert "mine" not in stand["A"].store.values(0)
    assert known.cursor(0)[1] < at


def test_tombstones_are_kept_while_a_node_is_silent() -> None:
    stand = Stand(3, absence_ms=5_000).ready()
    stand.run(6_000)
    state = stand["A"].state
    state.purge_round = state.serial()
    assert not purging._all_told(state)
    stand["A"].carry_out()
    stand.work()
    assert purging._all_told(state)
    replica.liveness(state, b"C", SILENT)
    assert not purging._all_told(state)


def test_nothing_is_said_again_and_again_to_a_dead_peer() -> None:
    stand = Stand(3, copies=3).ready()
    stand.crash("C")
    stand.see()
    stand["A"].write(0, "k", 1)
    stand.run(60_000)
    assert len(stand["A"].state.peers[b"C"].stream.inflight) < 10
