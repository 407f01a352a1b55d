"""What a node keeps while a link is full is bounded, and what is dropped beyond that is mended when there is room."""

import pytest

from node.mail import effects
from node.routing import codes, hosting, seating
from node.wire import errors
from tests.node.routing.stage import Node, Session, Stage

USERS = (1, 5, 9, 13)
"""Of partition 1, whose primary is node b."""


def leave(node: Node, session: Session) -> None:
    node.within(node.router.left, session)


def known(stage: Stage) -> list[int]:
    """Users of whom node b knows that they are connected to node a."""
    state = stage.b.router.state
    return sorted(
        [one.user for one in state.peers[b"a"].remotes.values()] + [row.user for _, row in state.dormant]
    )


def test_too_many_farewells_make_the_primary_begin_anew_when_there_is_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(seating, "FAREWELLS_MAX", 2)
    stage = Stage()
    stays, *go = [stage.a.login_of(user) for user in USERS]
    stage.shut.add((b"a", b"b", codes.SESSIONS))
    for session in go:
        leave(stage.a, session)
    stage.wait(1_000)
    assert known(stage) == list(USERS), "nothing could be said"
    assert stage.a.resets == []
    assert not stage.a.router.state.peers[b"b"].farewells
    stage.shut.clear()
    stage.wait(1_000)
    assert known(stage) == [stays.user]
    assert stage.b.router.statistics()["sessions_remote"] == 1
    assert stays.ended is None
    assert stage.a.router.statistics()["farewells_dropped"] == 1
    leave(stage.a, stays)
    stage.run()
    assert known(stage) == []


def test_farewells_that_are_forgotten_are_not_missed_over_a_new_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seating, "FAREWELLS_MAX", 2)
    stage = Stage()
    stays, *go = [stage.a.login_of(user) for user in USERS]
    stage.shut.add((b"a", b"b", codes.SESSIONS))
    for session in go:
        leave(stage.a, session)
    stage.disconnect()
    stage.mend()
    stage.wait(1_000)
    assert known(stage) == [stays.user]
    assert len(stage.a.said(codes.SESSIONS, codes.HELLO)) == 2, "one for each link"


def test_sessions_that_are_to_end_and_find_no_room_are_told_when_they_are_announced_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hosting, "ENDS_MAX", 2)
    stage = Stage()
    stays, *go = [stage.a.login_of(user) for user in USERS]
    stage.shut.add((b"b", b"a", codes.MESSAGES))
    for session in go:
        stage.b.within(stage.b.router.end_user, session.user, errors.BLOCKED)
    stage.wait(1_000)
    assert len(stage.b.router.state.peers[b"a"].ends) == 2
    assert [session.ended for session in go] == [None] * 3
    blocked = {session.user for session in go}

    def judge(user: int, stream: bytes, done: object) -> None:
        assert callable(done)
        done(errors.BLOCKED if user in blocked else 0)

    monkeypatch.setattr(stage.b, "judge_device", judge)
    stage.shut.clear()
    stage.wait(1_000)
    assert [session.ended for session in go] == [errors.BLOCKED] * 3
    assert stays.ended is None
    assert known(stage) == [stays.user]
    assert stage.b.router.statistics()["ends_dropped"] == 1


def test_a_new_link_that_has_no_room_for_hello_is_not_used_before_there_is() -> None:
    stage = Stage()
    session = stage.a.login_of(1)
    stage.run()
    # The link from node b to node a ends, which node a doesn't notice, and the new one is full.
    stage.shut.add((b"b", b"a", codes.MESSAGES))
    stage.b.within(stage.b.router.disconnected, b"a", codes.MESSAGES)
    stage.b.within(stage.b.router.connected, b"a", codes.MESSAGES)
    stage.a.within(stage.a.router.send, session, 5, 1, 1, b"body")
    stage.run()
    assert session.frames(effects.ACCEPTED) == [], "node b has forgotten that node a may send"
    stage.shut.clear()
    stage.b.within(lambda: None)
    stage.run()
    (accepted,) = session.frames(effects.ACCEPTED)
    assert accepted[2:6] == (5, session.stream, 1, 1)
    assert not stage.b.router.state.peers[b"a"].greetings


@pytest.mark.parametrize("channel", codes.CHANNELS)
def test_a_link_that_ends_before_there_was_room_for_hello_is_greeted_once_when_it_is_new(
    channel: str,
) -> None:
    stage = Stage()
    before = len(stage.b.said(channel, codes.HELLO))
    stage.shut.add((b"b", b"a", channel))
    stage.b.within(stage.b.router.disconnected, b"a", channel)
    stage.b.within(stage.b.router.connected, b"a", channel)
    stage.b.within(stage.b.router.disconnected, b"a", channel)
    stage.shut.clear()
    stage.b.within(stage.b.router.tick)
    assert len(stage.b.said(channel, codes.HELLO)) == before, "nothing is sent over a link that is gone"
    stage.b.within(stage.b.router.connected, b"a", channel)
    assert len(stage.b.said(channel, codes.HELLO)) == before + 1


def test_a_session_that_comes_back_at_the_same_edge_costs_no_word_about_the_one_before() -> None:
    stage = Stage()
    first = stage.a.login_of(1)
    second = stage.a.login_of(1)
    stage.run()
    assert first.ended == errors.SUPERSEDED
    assert second.ended is None
    assert known(stage) == [1]
    assert stage.b.said(codes.MESSAGES, codes.END) == []
    assert len(stage.a.said(codes.SESSIONS, codes.OFFLINE)) == 1
