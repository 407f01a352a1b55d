"""What a replica writes down is what it takes up again."""

from hypothesis import given
from hypothesis import strategies as st

from replication.claim import Claim
from replication.core import rows
from replication.core.knowledge import Knowledge
from replication.core.settings import ReplicaSettings
from replication.core.state import LIVE, NONE, VOID, ReplicaState


def state(sequence: int = 0, partitions: int = 4) -> ReplicaState:
    names = [b"A", b"B", b"C"]
    return ReplicaState(
        b"A",
        names,
        partitions,
        lambda p: names,
        ReplicaSettings(),
        incarnation=9,
        sequence=sequence,
        position=lambda incarnation, at: at,
    )


CLAIMS = st.builds(
    Claim,
    st.integers(1, 1 << 40),
    st.binary(min_size=1, max_size=8),
    st.none() | st.binary(min_size=1, max_size=8),
    st.integers(0, 1 << 40),
    st.none() | st.tuples(st.integers(1, 1 << 40), st.binary(min_size=1, max_size=8)),
)


@given(CLAIMS, st.sampled_from([NONE, LIVE, VOID]), st.integers(0, 1 << 40))
def test_claim_and_copy_come_back(claim: Claim, copy: int, asof: int) -> None:
    before, after = state(), state()
    part = before.parts[2]
    part.claim, part.copy, part.asof = claim, copy, asof
    rows.restore(after, rows.of_part(part))
    restored = after.parts[2]
    assert (restored.claim, restored.copy, restored.asof) == (claim, copy, asof)
    assert after.parts[1].claim is None


def test_rows_of_a_node_that_was_alone_are_understood() -> None:
    after = state()
    rows.restore(after, [(("claim", 1), [7, b"A", None])])
    assert after.parts[1].claim == Claim(7, b"A")


def test_a_claim_is_written_as_it_is_sent() -> None:
    claim = Claim(7, b"A", b"B", 3, (6, b"C"))
    assert Claim.from_row(claim.row()) == claim
    assert Claim.from_row(Claim(7, b"A").row()) == Claim(7, b"A")


def test_what_is_known_of_a_peer_comes_back() -> None:
    known = Knowledge()
    known.begin(7, 10, frozenset())
    known.join(0)
    known.caught_up(1, 7, 3)
    known.learned(2, 6, 4)
    after = state()
    rows.restore(after, rows.of_known(b"B", known))
    restored = after.peers[b"B"].known
    assert [restored.cursor(p) for p in range(4)] == [known.cursor(p) for p in range(4)]
    assert restored.stream.members == {0}
    assert restored.echo.members == {1}


def test_a_later_row_of_the_stream_moves_its_cursor() -> None:
    known = Knowledge()
    known.begin(7, 10, frozenset())
    known.join(0)
    after = state()
    rows.restore(after, dict([*rows.of_known(b"B", known), rows.of_stream(b"B", 7, 55)]).items())
    assert after.peers[b"B"].known.cursor(0) == (7, 55)


def test_those_who_are_no_members_any_more_are_passed_over() -> None:
    after = state(partitions=2)
    rows.restore(
        after, [*rows.of_known(b"gone", Knowledge()), (("claim", 5), [1, b"A", None]), (("copy", 5), [1, 1])]
    )
    assert set(after.peers) == {b"B", b"C"}
    assert all(part.claim is None for part in after.parts)


def test_what_is_found_at_a_start_may_be_news_to_anybody() -> None:
    after = state(sequence=40)
    rows.restore(after, [])
    assert all(part.foreign(b"B") == 40 for part in after.parts)


def test_that_only_memory_was_lost_is_remembered_and_nothing_else_is_taken_for_it() -> None:
    before, after = state(), state()
    for part, copy in zip(before.parts, (LIVE, NONE, VOID), strict=False):
        part.claim, part.copy = Claim(3, b"A", b"B"), copy
    before.parts[2].owing = True
    rows.forget(before)
    rows.restore(after, [row for part in before.parts for row in rows.of_part(part)])
    assert [(part.thin, part.owing) for part in after.parts[:3]] == [
        (True, False),
        (False, False),
        (False, True),
    ]


def test_a_void_copy_of_what_nobody_claimed_is_only_empty() -> None:
    after = state()
    rows.restore(after, [(("copy", 1), [VOID, 3])])
    assert after.parts[1].copy == NONE
