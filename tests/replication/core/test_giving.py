"""Of a planned move the whole hold is counted: until the partition is served where it went to."""

from replication.core import messages, replica
from replication.core.giving import ASKS_OF_SILENT, GIVEN_MS_MAX
from replication.core.state import DEAD
from tests.replication.core.stand import Stand


def claimed_but_not_served(*lost: int) -> Stand:
    """B has claimed what A gave it 100 ms ago, and waits for what C may have. Messages that are lost then."""
    stand = Stand(3, pull_wait_ms=5_000, move_wait_ms=1_000).ready()
    replica.move(stand["A"].state, 0, b"B", lambda *how: None)
    stand["A"].carry_out()
    stand.losing = frozenset({messages.CHUNK, *lost})
    stand.tick()
    stand.work()
    stand.tick()
    stand.work()
    assert set(stand["A"].state.given) == {0}
    assert stand.claim("A").primary == b"B"
    assert stand.servers(0) == ""
    assert stand["A"].state.holds.count == 0, "it still stands still"
    return stand


def serve(stand: Stand) -> None:
    """B doesn't wait any longer."""
    stand["B"].state.parts[0].gather_until = stand.now
    stand.tick()
    stand.work()
    assert stand.servers(0) == "B"


def test_a_hold_ends_when_the_other_node_serves() -> None:
    stand = claimed_but_not_served()
    stand.run(300)
    serve(stand)
    state = stand["A"].state
    assert (state.holds.count, state.holds.most_ms) == (1, 500)
    assert not state.given


def test_one_that_lasted_too_long_is_told_of_though_its_claim_came_soon() -> None:
    stand = claimed_but_not_served()
    stand.run(500)
    serve(stand)
    assert dict(stand["A"].reports)["stood_still_long"] == {"partition": 0, "ms": 700}
    assert stand["A"].state.holds.over[stand["A"].state.holds.over.index(0) - 1] == 1


def test_a_word_that_is_lost_is_asked_for_and_the_time_since_then_does_not_count() -> None:
    stand = claimed_but_not_served(messages.SERVED)
    serve(stand)
    stand.losing = frozenset()
    stand.run(stand.settings.retry_ms + 200)
    state = stand["A"].state
    assert (state.holds.count, state.holds.most_ms) == (1, 200)
    assert len(stand.sent(messages.SERVED)) == 2


def test_the_word_that_it_is_served_may_be_the_first_that_is_heard_of_its_claim() -> None:
    stand = Stand(3).ready()
    replica.move(stand["A"].state, 0, b"B", lambda *how: None)
    stand["A"].carry_out()
    stand.losing = frozenset({messages.CLAIMS, messages.SPREAD})
    stand.tick()
    stand.work()
    assert stand.servers(0) == "B"
    assert stand.claim("A").primary == b"B"
    assert (stand["A"].state.holds.count, stand["A"].state.holds.most_ms) == (1, 0)


def test_of_an_older_release_that_does_not_say_it_the_time_until_its_claim_counts() -> None:
    stand = claimed_but_not_served(messages.SERVED)
    serve(stand)
    stand.run(GIVEN_MS_MAX)
    state = stand["A"].state
    assert (state.holds.count, state.holds.most_ms) == (1, 0)
    assert not state.given
    asked = stand.sent(messages.HAND)
    assert len(asked) == 1 + ASKS_OF_SILENT, "the move's own, and those for the word"


def test_who_has_said_the_word_before_is_asked_until_it_is_heard() -> None:
    stand = claimed_but_not_served(messages.SERVED)
    stand["A"].state.peers[b"B"].tells_served = True
    serve(stand)
    stand.run(5_000)
    assert len(stand.sent(messages.HAND)) > 2 + ASKS_OF_SILENT
    assert stand["A"].state.given
    stand.losing = frozenset()
    stand.run(1_000)
    assert not stand["A"].state.given


def test_the_first_word_of_a_node_may_be_lost() -> None:
    stand = claimed_but_not_served(messages.SERVED)
    serve(stand)
    assert stand["A"].state.given
    stand.losing = frozenset()
    stand.run(1_000)
    assert not stand["A"].state.given
    assert stand["A"].state.peers[b"B"].tells_served


def test_if_the_node_dies_that_took_it_the_hold_lasted_at_least_until_then() -> None:
    stand = claimed_but_not_served()
    stand["A"].state.peers[b"B"].tells_served = True
    stand.crash("B")
    stand.run(300)
    replica.liveness(stand["A"].state, b"B", DEAD)
    stand["A"].carry_out()
    stand.run(200)
    state = stand["A"].state
    assert not state.given
    assert (state.holds.count, state.holds.most_ms) == (1, 400)


def test_a_question_about_what_was_never_taken_is_not_answered() -> None:
    stand = Stand(2).ready()
    epoch = stand.claim("A").epoch
    replica.received(stand["A"].state, b"B", [messages.HAND, 0, epoch, 0])
    stand["A"].carry_out()
    assert not stand.sent(messages.SERVED)
