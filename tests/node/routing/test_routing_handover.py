"""A new process takes an edge's place: what its sessions had sent is sent on by that one, in the order of each pair."""

from types import SimpleNamespace
from typing import Any, cast

from node.mail import effects
from node.wire import errors
from tests.node.routing.stage import Node, Session, Stage

ALICE, BOB = 4, 5
"""Alice's primary is the edge itself, Bob's the other node."""


def send(node: Node, session: Session, recipient: int, *numbers: int, base: int = 1) -> None:
    for n in numbers:
        node.within(node.router.send, session, recipient, n, base, b"body %d" % n)


def accepted(session: Session) -> list[int]:
    """May be said more than once."""
    said = session.frames(effects.ACCEPTED)
    return sorted({n for *_, first, last, _ in said for n in range(first, last + 1)})


class Deaf:
    """Nothing that is said to it arrives."""

    router = SimpleNamespace(received=None)

    def within(self, *_: Any) -> None:
        """Nothing happens."""


def next_process(stage: Stage) -> Node:
    """What the edge is primary of goes to the other node, then its links end; nothing is connected yet."""
    for p in (0, 2):
        stage.claim(p, b"b")
    stage.disconnect()
    stage.shut.clear()
    stage.a = stage.nodes[b"a"] = Node(stage, b"a")
    return stage.a


def succeed(stage: Stage, session: Session) -> Session:
    """The session goes on in the next process."""
    before = stage.a
    sent, back = before.router.belongings(session)
    ticket = before.router.state.ticket
    node = next_process(stage)
    after = Session()
    node.within(node.router.go_on_from, ticket)
    node.within(node.router.take_up, after, session.user, session.stream, session.login, sent, back)
    return after


def test_what_was_not_answered_is_sent_on_in_the_order_of_its_pair() -> None:
    stage = Stage()
    session = stage.a.login_of(ALICE)
    send(stage.a, session, BOB, 1, 2, 3)
    stage.a.within(stage.a.router.send, session, ALICE + 4, 9, 9, b"another")
    stage.later.clear()  # all that was on its way is lost
    after = succeed(stage, session)
    send(stage.a, after, BOB, 4)
    assert stage.a.router.statistics()["kept_messages"] == 5
    stage.connect()
    stage.wait(200)
    assert not [effect for effect in after.said if effect[0] == effects.GAP], "they came in their order"
    assert accepted(after) == [1, 2, 3, 4, 9]
    assert stage.a.router.statistics()["kept_messages"] == 0


def test_what_was_answered_but_not_heard_is_answered_again_and_there_once() -> None:
    stage = Stage()
    session = stage.a.login_of(ALICE)
    send(stage.a, session, BOB, 1, 2)
    stage.nodes[b"a"] = cast("Node", Deaf())
    stage.run()
    stage.nodes[b"a"] = stage.a
    assert accepted(session) == []
    after = succeed(stage, session)
    stage.connect()
    stage.wait(200)
    assert accepted(after) == [1, 2]
    bob = stage.b.login_of(BOB)
    stage.wait(200)
    assert [effect[4] for effect in bob.frames(effects.DELIVER)] == [1, 2]


def test_a_session_is_announced_anew_with_its_login_and_a_ticket_that_nobody_had() -> None:
    stage = Stage()
    session = stage.a.login_of(BOB)
    login, ticket = session.login, session.ticket
    after = succeed(stage, session)
    stage.connect()
    stage.wait(200)
    assert after.login == login
    assert after.ticket > ticket
    assert after.round >= 1
    assert stage.b.router.statistics()["sessions_remote"] == 1
    stage.a.within(stage.a.router.end_user, BOB, errors.SUPERSEDED)
    assert stage.a.router.state.sessions == {}


def test_who_was_told_to_come_back_to_a_number_is_held_to_it() -> None:
    stage = Stage(kept_part_messages_max=1)
    session = stage.a.login_of(ALICE)
    stage.disconnect()
    send(stage.a, session, BOB, 1, 2)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [2]
    after = succeed(stage, session)
    send(stage.a, after, BOB, 3)
    assert stage.a.router.statistics()["kept_messages"] == 1, "3 was said before it heard of it"
    send(stage.a, after, BOB, 2, 3)
    stage.connect()
    stage.wait(200)
    assert accepted(after) == [1, 2, 3]


def test_a_login_that_came_since_is_the_newer_one() -> None:
    stage = Stage()
    session = stage.a.login_of(ALICE)
    send(stage.a, session, BOB, 1)
    stage.later.clear()
    before = stage.a
    sent, back = before.router.belongings(session)
    node = next_process(stage)
    stage.connect()
    newer = stage.a.login_of(ALICE)
    late = Session()
    node.within(node.router.take_up, late, session.user, session.stream, session.login, sent, back)
    assert stage.a.router.state.sessions == {ALICE: newer}
    assert late.ticket == 0
    assert stage.a.router.statistics()["kept_messages"] == 0
