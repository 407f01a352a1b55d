"""What routing holds of sessions that say nothing, and that nothing of them is left when they have ended."""

from collections import deque
from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.mail import effects
from node.routing import codes
from node.routing.dormant import Dormant
from node.routing.logins import COUNTER_MAX, packed, unpacked
from node.routing.seats import Seats
from node.session import Session as PhoneSession
from tests.node.routing.stage import Node, Session, Stage

ELSEWHERE = range(1, 400, 4)
"""Users whose primary is the other node, `b`."""
AT_HOME = range(4, 400, 4)

LOGINS = st.tuples(st.integers(0, 1 << 60), st.integers(0, COUNTER_MAX))


def containers(node: Node) -> Iterator[tuple[str, int]]:
    """Whatever has a length, in all that routing and mail hold."""
    state = node.router.state
    holders: list[tuple[str, Any]] = [("routing", state), ("mail", node.mail)]
    holders += [(f"part {part.number}", part) for part in state.parts]
    holders += [(f"peer {peer.node!r}", peer) for peer in state.peers.values()]
    for name, holder in holders:
        fields = holder.__slots__ if hasattr(holder, "__slots__") else vars(holder)
        for field in fields:
            value = getattr(holder, field)
            if isinstance(value, dict | list | set | deque | Seats | Dormant):
                yield f"{name}: {field}", len(value)


def sizes(stage: Stage) -> list[dict[str, int]]:
    return [dict(containers(node)) for node in stage.nodes.values()]


def leave(node: Node, session: Session) -> None:
    node.within(node.router.left, session)


def test_sessions_that_end_leave_nothing_behind_at_their_edge_or_their_primary() -> None:
    stage = Stage()
    leave(stage.a, stage.a.login_of(1))  # partitions that were opened once stay open
    leave(stage.a, stage.a.login_of(4))
    for user in (3, 2):
        leave(stage.a, stage.a.login_of(user))
    stage.run()
    before = sizes(stage)
    sessions = [stage.a.login_of(user) for user in (*ELSEWHERE, *AT_HOME)]
    assert all(session.frames(effects.BACKLOG) for session in sessions)
    assert sizes(stage) != before
    assert len(stage.b.router.state.dormant) == len(ELSEWHERE)
    for session in sessions:
        leave(stage.a, session)
    stage.run()
    stage.wait(200)
    assert sizes(stage) == before


def test_sessions_that_a_link_took_with_it_leave_nothing_behind_when_they_end() -> None:
    stage = Stage()
    leave(stage.a, stage.a.login_of(1))
    stage.run()
    before = sizes(stage)
    sessions = [stage.a.login_of(user) for user in ELSEWHERE]
    stage.disconnect()
    assert not stage.b.mail.sessions
    assert not stage.b.router.state.dormant
    stage.mend()
    stage.wait(1_000)
    assert len(stage.b.router.state.dormant) == len(sessions), "announced anew"
    for session in sessions:
        leave(stage.a, session)
    stage.run()
    stage.wait(200)
    assert sizes(stage) == before


def test_an_idle_session_is_held_where_it_must_be_and_nowhere_else() -> None:
    stage = Stage()
    stage.a.login_of(1)
    before = sizes(stage)
    for user in ELSEWHERE[1:]:
        stage.a.login_of(user)
    count = len(ELSEWHERE) - 1
    edge, primary = ({name: now[name] - then[name] for name in now if now[name] != then[name]}
                     for now, then in zip(sizes(stage), before, strict=True))  # fmt: skip
    assert edge == {"routing: sessions": count, "routing: tickets": count, "part 1: sessions": count}
    assert primary == {"routing: dormant": count}


def test_whoever_is_announced_and_not_judged_yet_can_leave() -> None:
    stage = Stage()
    judged = []
    stage.b.judge_device = lambda user, stream, done: judged.append(done)  # type: ignore[method-assign]
    session = stage.a.login_of(1)
    remote = stage.b.router.state.coming[1]
    assert stage.b.mail.sessions == {}
    leave(stage.a, session)
    stage.run()
    assert remote.gone
    assert stage.b.router.state.coming == {}
    for done in judged:
        stage.b.within(done, 0)
    assert stage.b.mail.sessions == {}, "the answer comes too late"


def test_the_newer_of_two_sessions_wins_while_the_older_one_is_being_judged() -> None:
    stage = Stage()
    judged = []
    stage.b.judge_device = lambda user, stream, done: judged.append(done)  # type: ignore[method-assign]
    older = stage.a.login_of(1)
    newer = stage.a.login_of(1)
    assert older.ended
    for done in judged:
        stage.b.within(done, 0)
    stage.run()
    ((_, row),) = stage.b.router.state.dormant
    assert (row.ticket, row.round) == (newer.ticket, newer.round)
    assert stage.b.router.state.coming == {}
    assert newer.frames(effects.BACKLOG)


@given(LOGINS, LOGINS)
def test_a_packed_login_is_the_same_login_and_compares_as_it_does(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    assert unpacked(packed(one)) == one
    assert (packed(one) < packed(other)) == (one < other)
    session = PhoneSession(1, "127.0.0.1", b"")
    session.login = one
    assert session.login == one


def test_a_counter_that_no_clock_gives_is_refused() -> None:
    stage = Stage()
    entry = [1, 1, COUNTER_MAX + 1, bytes(8), 1, 1]
    stage.b.within(stage.b.router.received, b"a", codes.SESSIONS, [codes.ONLINE, 1, [entry]])
    assert stage.b.resets == [(b"a", codes.SESSIONS)]
    assert stage.b.router.state.counts.malformed == 1
