"""A cursor is raised only by what proves it."""

from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from replication.core.knowledge import NOTHING, Knowledge


def test_of_a_stranger_nothing_is_known() -> None:
    assert Knowledge().cursor(3) == NOTHING


def test_a_chunk_raises_the_cursor_and_never_lowers_it() -> None:
    known = Knowledge()
    known.learned(3, 7, 100)
    known.learned(3, 7, 50)
    assert known.cursor(3) == (7, 100)
    assert known.cursor(4) == NOTHING


def test_a_chunk_of_another_life_replaces_what_was_known() -> None:
    known = Knowledge()
    known.learned(3, 7, 100)
    known.learned(3, 8, 50)
    assert known.cursor(3) == (8, 50)


def test_a_stream_moves_its_partitions_together() -> None:
    known = Knowledge()
    known.learned(1, 7, 10)
    known.begin(7, 10, frozenset())
    known.join(1)
    known.join(2)
    known.stream.upto = 25
    assert known.cursor(1) == known.cursor(2) == (7, 25)


def test_a_stream_that_begins_anew_keeps_what_the_others_had() -> None:
    known = Knowledge()
    known.begin(7, 10, frozenset())
    known.join(1)
    known.join(2)
    known.begin(8, 40, frozenset({2}))
    assert known.cursor(1) == (7, 10)
    assert known.cursor(2) == (8, 40)


def test_whoever_leaves_a_lane_keeps_its_cursor() -> None:
    known = Knowledge()
    known.begin(7, 10, frozenset())
    known.join(1)
    known.part((1, 2))
    known.stream.upto = 99
    assert known.cursor(1) == (7, 10)
    assert known.cursor(2) == NOTHING


def test_an_ack_moves_the_echo_if_nobody_else_wrote_there() -> None:
    known = Knowledge()
    known.caught_up(1, 7, 20)
    known.acknowledged(7, 20, 30)
    assert known.cursor(1) == (7, 30)
    known.acknowledged(7, 33, 35)
    assert known.cursor(1) == (7, 30), "at 33 somebody else did"
    known.acknowledged(7, 0, 40)
    assert known.cursor(1) == (7, 30), "and it isn't in the echo any more"


def test_an_ack_of_another_life_moves_nothing() -> None:
    known = Knowledge()
    known.caught_up(1, 7, 20)
    known.acknowledged(8, 0, 30)
    assert known.cursor(1) == (7, 20)


def test_an_older_ack_moves_nothing_back() -> None:
    known = Knowledge()
    known.caught_up(1, 7, 20)
    known.acknowledged(7, 0, 30)
    known.acknowledged(7, 0, 25)
    assert known.cursor(1) == (7, 30)


def test_who_joins_the_echo_later_takes_it_down_with_it() -> None:
    known = Knowledge()
    known.caught_up(1, 7, 20)
    known.acknowledged(7, 0, 30)
    known.caught_up(2, 7, 25)
    assert known.cursor(1) == known.cursor(2) == (7, 25)


def test_a_partition_of_the_stream_is_not_in_the_echo_as_well() -> None:
    known = Knowledge()
    known.begin(7, 10, frozenset())
    known.join(1)
    known.caught_up(1, 7, 50)
    assert known.cursor(1) == (7, 10)


def test_the_echo_is_of_one_life() -> None:
    known = Knowledge()
    known.caught_up(1, 7, 20)
    known.learned(2, 8, 5)
    known.caught_up(2, 8, 90)
    assert known.cursor(1) == (7, 20)
    assert known.cursor(2) == (8, 5)


def test_what_is_forgotten_begins_at_nothing() -> None:
    known = Knowledge()
    known.caught_up(1, 7, 20)
    known.learned(2, 7, 5)
    known.forget(1)
    known.forget(2)
    assert known.cursor(1) == known.cursor(2) == NOTHING


def test_a_copy_may_be_changed_without_the_original() -> None:
    known = Knowledge()
    known.begin(7, 10, frozenset())
    known.join(1)
    known.caught_up(2, 7, 3)
    known.learned(3, 7, 4)
    copy = known.copy()
    copy.learned(3, 7, 9)
    copy.part((1, 2))
    copy.stream.upto = 77
    assert [known.cursor(p) for p in (1, 2, 3)] == [(7, 10), (7, 3), (7, 4)]


class Cursors(RuleBasedStateMachine):
    """A peer whose partitions are changed by our frames and by others. What it changed by a frame of ours we have;
    what others wrote there we have only if we pulled it. So no cursor may pass over a change that we don't have."""

    partitions = 3

    @initialize()
    def begin(self) -> None:
        self.known = Knowledge()
        self.life = 1
        self.sequence = 0
        self.changes: dict[tuple[int, int], int] = {}
        """(life, sequence) → the partition that another changed there, and we haven't pulled."""
        self.marks = 0
        self.pending: list[tuple[int, int, int]] = []

    @rule(p=st.integers(0, 2))
    def another_writes(self, p: int) -> None:
        self.sequence += 1
        self.changes[self.life, self.sequence] = p
        self.marks = self.sequence

    @rule(rows=st.integers(1, 3))
    def a_frame_of_ours_is_applied(self, rows: int) -> None:
        self.sequence += rows
        self.pending.append((self.life, self.marks, self.sequence))

    @rule(lost=st.booleans())
    def an_ack_arrives(self, lost: bool) -> None:
        if self.pending:
            ack = self.pending.pop(0)
            if not lost:
                self.known.acknowledged(*ack)

    @rule(p=st.integers(0, 2), share=st.floats(0, 1), counted=st.booleans())
    def a_chunk_is_durable(self, p: int, share: float, counted: bool) -> None:
        """Some of what follows what we have of a partition, or all of it."""
        life, since = self.known.cursor(p)
        if life != self.life:
            since = 0
        through = since + int((self.sequence - since) * share)
        for at in range(1, through + 1):
            if self.changes.get((self.life, at)) == p:
                del self.changes[self.life, at]
        self.known.learned(p, self.life, through)
        if counted:
            self.known.caught_up(p, self.life, through)

    @rule(p=st.integers(0, 2))
    def it_leaves(self, p: int) -> None:
        self.known.part((p,))

    @rule()
    def the_peer_starts_anew(self) -> None:
        """Its directory goes on; the former life's sequences stand."""
        for (life, at), p in list(self.changes.items()):
            if life == self.life:
                self.changes[life + 1, at] = p
        self.life += 1
        self.pending.clear()

    @invariant()
    def no_cursor_passes_over_what_we_lack(self) -> None:
        if not hasattr(self, "known"):
            return
        for p in range(self.partitions):
            life, upto = self.known.cursor(p)
            lacking = [
                at for (of, at), which in self.changes.items() if of == life and which == p and at <= upto
            ]
            assert not lacking, f"partition {p} is known up to {upto}, and lacks {lacking}"

    @invariant()
    def nobody_is_in_two_places(self) -> None:
        if hasattr(self, "known"):
            known = self.known
            assert not known.stream.members & known.echo.members
            assert not known.others.keys() & (known.stream.members | known.echo.members)


TestCursors = Cursors.TestCase
TestCursors.settings = profile(max_examples=100, stateful_step_count=30, deadline=None)
