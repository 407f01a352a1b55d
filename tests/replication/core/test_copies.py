"""Complete, filling, void: only a complete copy is served, and a void one is emptied before it fills."""

from replication.core import claims, messages, replica, rows
from replication.core.state import LIVE, NONE, VOID
from tests.replication.core.stand import Stand


def test_a_copy_is_complete_once_it_has_what_the_primary_had_when_it_began() -> None:
    stand = Stand(2)
    stand.start("A")
    stand.run(4_000)
    for n in range(5):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    stand.start("B")
    for _ in range(100):
        stand["A"].disk(1)
        stand["B"].disk(1)
        stand.deliver(count=1)
        stand.tick()
        if stand["B"].state.parts[0].copy == LIVE and stand.claim("B").heir == b"B":
            assert len(stand["B"].store.values(0)) == 5
    assert stand["B"].state.parts[0].copy == LIVE


def test_that_a_copy_is_complete_is_durable_before_it_is_told() -> None:
    stand = Stand(2).ready()
    assert stand["B"].store.own["copy", 0] == [LIVE, 1]
    assert stand["A"].store.own["copy", 0] == [LIVE, 1]


def test_a_copy_that_fills_is_not_complete_after_a_crash_either() -> None:
    stand = Stand(2, chunk_rows=1)
    stand.start("A")
    stand.run(4_000)
    for n in range(5):
        stand["A"].write(0, f"k{n}", n)
    stand.work()
    stand.start("B")
    while not stand["B"].store.values(0):
        stand["A"].disk(1)
        stand["B"].disk(1)
        stand.deliver(count=1)
        stand.tick()
    stand.crash("A", "B")
    stand["B"].start(99)
    assert stand["B"].state.parts[0].copy == NONE
    stand.run(5_000)
    assert stand.servers(0) == ""


def test_a_void_copy_is_emptied_and_then_filled() -> None:
    stand = Stand(2).ready()
    stand["A"].write(0, "k", 1)
    stand.work()
    node = stand["B"]
    node.store.rows[0, "ghost"] = ((9, 9, 9), "deleted long ago", 77)
    stand.crash("B")
    node.store.own["copy", 0] = [VOID, 0]
    stand.start("B")
    stand.run(6_000)
    assert node.state.counts.cleared == 1
    assert stand.copies(0) == [{"k": 1}] * 2
    assert "ghost" not in stand["A"].store.values(0)


def test_while_a_void_copy_is_emptied_it_is_offered_now_and_then_and_not_without_an_end() -> None:
    stand = Stand(2).ready()
    node = stand["B"]
    node.store.rows[0, "ghost"] = ((9, 9, 9), "deleted long ago", 77)
    stand.crash("B")
    node.store.own["copy", 0] = [VOID, 0]
    stand.start("B")
    node._cleared = lambda *_: None  # type: ignore[method-assign]
    before = len(stand.sent(messages.FRAME, "A", "B"))
    stand.run(5_000)
    assert len(stand.sent(messages.FRAME, "A", "B")) - before <= 5_000 / stand.settings.retry_ms + 1
    assert node.state.parts[0].copy == VOID


def test_what_is_known_is_written_down_now_and_then() -> None:
    stand = Stand(2).ready()
    for n in range(5):
        stand["A"].write(0, f"k{n}", n)
        stand.work()
    stand.run(2_000)
    echo = stand["A"].store.own["echo", b"B"]
    assert echo == [2, 5], "what B did with our frames is ours"
    known = stand["A"].state.peers[b"B"].known
    assert dict(rows.of_known(b"B", known))["echo", b"B"] == echo


def test_a_copy_that_is_not_kept_up_to_date_any_more_is_not_complete() -> None:
    """Neither if the stream goes on without it, nor if it was away when another node became the heir."""
    stand = Stand(3).ready()
    claims.make(stand["A"].state, [(0, b"C")])
    stand["A"].carry_out()
    stand.run(2_000)
    stand["A"].write(0, "k", 1)
    stand.work()
    assert [stand[name].state.parts[0].copy for name in "ABC"] == [LIVE, NONE, LIVE]
    assert stand.copies(0) == [{"k": 1}] * 2
    stand["A"].write(0, "k", 2)
    stand["A"].disk()
    for _ in range(130):
        stand.deliver("A", "B")
        stand.deliver("B", "A")
        stand["A"].disk()
        stand["B"].disk()
        stand.tick()
    assert stand.claim("A").heir == b"B"
    stand.run(2_000)
    assert [stand[name].state.parts[0].copy for name in "ABC"] == [LIVE, LIVE, NONE]


def test_a_late_word_that_a_copy_was_heard_of_means_nothing_for_a_stream_that_has_begun_anew() -> None:
    """The primary has forgotten then what it had heard, and there would be no complete heir for good."""
    stand = Stand(2).ready()
    state = stand["B"].state
    claim, peer = state.parts[0].claim, state.peers[b"A"]
    assert claim is not None
    assert claim.heir == b"B"
    late = [messages.LIVED, [[0, claim.epoch, 1 << 40]]]
    for session, left in ((peer.source.session - 1, {0: claim.epoch}), (peer.source.session, {})):
        peer.live_untold[0] = claim.epoch
        replica.received(state, b"A", [*late, session])
        assert peer.live_untold == left
    peer.live_untold[0] = claim.epoch
    replica.received(state, b"A", late)
    assert peer.live_untold == {}, "of an older release, which doesn't say which stream"
