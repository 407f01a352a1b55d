"""Sessions at other edges are rows while nobody has to do with them, and nobody notices."""

from typing import Any

import pytest

from node.mail import effects, presence, telling
from node.routing import codes
from node.routing.settings import RoutingSettings
from node.wire import errors
from node.wire.verbs import KIND_DELIVERED
from store.results import Result
from tests.node.routing.stage import Node, Session, Stage

HERE, THERE = 4, 5
"""Users whose primary is `a`, and `b`."""
REST_MS = RoutingSettings().rest_ms
WRITTEN_MS = 500
"""A message is on disk: its receipt doesn't go with `accepted`."""


def stream_of(user: int) -> bytes:
    return user.to_bytes(8, "big")


def dormant(node: Node) -> list[int]:
    return sorted(row.user for _, row in node.router.state.dormant)


def awake(node: Node) -> list[int]:
    return sorted(one.user for peer in node.router.state.peers.values() for one in peer.remotes.values())


def send(node: Node, session: Session, recipient: int, n: int) -> None:
    node.within(node.router.send, session, recipient, n, 1, b"body %d" % n)
    node.stage.run()


def acknowledge(node: Node, session: Session, deliver: tuple[Any, ...]) -> None:
    _, _, sender, stream, n, *_ = deliver
    node.within(node.router.ack, session, sender, stream, n, n)
    node.stage.run()


def test_a_session_rests_as_soon_as_it_is_welcomed() -> None:
    stage = Stage()
    session = stage.a.login_of(THERE)
    assert session.frames(effects.BACKLOG)
    assert (dormant(stage.b), awake(stage.b)) == ([THERE], [])
    assert stage.b.mail.sessions == {}
    assert stage.b.router.statistics()["sessions_remote"] == 1
    assert stage.b.router.statistics()["sessions_dormant"] == 1


def test_a_message_wakes_its_recipient_who_is_handed_it_and_all_that_follow() -> None:
    stage = Stage()
    session, sender = stage.a.login_of(THERE), stage.b.login_of(THERE + 4)
    for n in (1, 2):
        send(stage.b, sender, THERE, n)
        (deliver,) = session.frames(effects.DELIVER)
        acknowledge(stage.a, session, deliver)
        assert awake(stage.b) == [THERE]
    assert sender.frames(effects.ACCEPTED)


def test_who_was_told_of_a_receipt_rests_again_when_nothing_follows() -> None:
    stage = Stage()
    sender, recipient = stage.a.login_of(THERE), stage.b.login_of(THERE + 4)
    assert dormant(stage.b) == [THERE]
    for n in (1, 2):
        send(stage.a, sender, THERE + 4, n)
        stage.wait(WRITTEN_MS)
        assert sender.frames(effects.ACCEPTED)
        (deliver,) = recipient.frames(effects.DELIVER)
        acknowledge(stage.b, recipient, deliver)
        (receipt,) = sender.frames(effects.RECEIPT)
        stage.a.within(stage.a.router.confirm, sender, *receipt[2:])
        stage.wait(REST_MS - 2 * WRITTEN_MS)
        assert awake(stage.b) == [THERE], "it was told a moment ago"
    stage.wait(3 * REST_MS)
    assert dormant(stage.b) == [THERE]
    assert stage.b.router.state.woken == {}


def test_receipts_that_are_not_confirmed_keep_a_session_awake() -> None:
    """They count in what it was told, which must end with it."""
    stage = Stage()
    recipient = stage.b.login_of(THERE + 4)
    sender = stage.a.login_of(THERE)
    send(stage.a, sender, THERE + 4, 1)
    stage.wait(WRITTEN_MS)
    stage.a.within(stage.a.router.left, sender)
    stage.run()
    (deliver,) = recipient.frames(effects.DELIVER)
    acknowledge(stage.b, recipient, deliver)
    stage.wait(5_000)
    sender = stage.a.login_of(THERE)
    (receipt,) = sender.frames(effects.RECEIPT)
    assert receipt[4] == KIND_DELIVERED
    stage.wait(2 * REST_MS)
    assert awake(stage.b) == [THERE]
    stage.a.within(stage.a.router.confirm, sender, *receipt[2:])
    stage.wait(2 * REST_MS)
    assert dormant(stage.b) == [THERE]


def test_whose_receipt_is_being_loaded_does_not_rest_before_it_was_told() -> None:
    """What was found at its login waits for that reading, and for that session."""
    stage = Stage()
    stream, b = stream_of(THERE), stage.b
    b.disk.owed[THERE, THERE + 4, stream] = [[1, 1], [], 0]
    held: list[tuple[Any, Any]] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(b, "read", lambda fn, done: held.append((fn, done)))
        b.within(telling.heard, b.mail, b"a", THERE, THERE + 4, stream, [2, 2], [], 0)
    session = stage.a.login_of(THERE)
    assert not session.frames(effects.RECEIPT)
    stage.wait(2 * REST_MS)
    assert (dormant(b), awake(b)) == ([], [THERE])
    ((fn, done),) = held
    b.within(lambda: done(Result(value=fn(b.disk))))
    stage.run()
    told = {
        n for _, _, _, _, _, first, last in session.frames(effects.RECEIPT) for n in range(first, last + 1)
    }
    assert told == {1, 2}


def test_a_row_goes_with_its_session_its_edge_and_its_partition() -> None:
    stage = Stage()
    first = stage.a.login_of(THERE)
    others = [stage.a.login_of(user) for user in (THERE + 4, THERE + 2)]
    assert dormant(stage.b) == [THERE, THERE + 2, THERE + 4]
    stage.a.within(stage.a.router.left, first)
    stage.run()
    assert dormant(stage.b) == [THERE + 2, THERE + 4]
    stage.claim(3, b"a")
    assert dormant(stage.b) == [THERE + 4]
    assert list(stage.a.mail.sessions) == [THERE + 2], "its edge is its primary now"
    stage.disconnect()
    assert dormant(stage.b) == []
    assert [one.ended for one in others] == [None, None]
    stage.mend()
    stage.wait(1_000)
    assert dormant(stage.b) == [THERE + 4]


def test_an_edge_whose_tickets_say_nothing_is_understood() -> None:
    """One of the release before."""
    stage = Stage()
    tickets = {9: 1, 13: 2 << 24 | 2}
    for user, ticket in tickets.items():
        entry = [user, 1, stage.now, stream_of(user), ticket, 1]
        stage.b.within(stage.b.router.received, b"a", codes.SESSIONS, [codes.ONLINE, 1, [entry]])
    assert dormant(stage.b) == list(tickets)
    for user, ticket in tickets.items():
        stage.b.within(stage.b.router.received, b"a", codes.SESSIONS, [codes.OFFLINE, ticket])
        assert user not in dormant(stage.b)


@pytest.mark.parametrize("login", [(1 << 40, 1), (1 << 40, 1 << 47)])
def test_a_login_too_large_for_a_row_stays_as_it_is(login: tuple[int, int]) -> None:
    stage = Stage()
    entry = [THERE, *login, stream_of(THERE), 1 << 21 | 1, 1]
    stage.b.within(stage.b.router.received, b"a", codes.SESSIONS, [codes.ONLINE, 1, [entry]])
    for _ in range(3):
        assert (dormant(stage.b), awake(stage.b)) == ([], [THERE])
        stage.now += REST_MS
        stage.b.within(stage.b.router.tick)


def test_a_later_login_ends_a_dormant_session_and_a_lower_one_does_not() -> None:
    stage = Stage()
    first = stage.a.login_of(THERE)
    second = stage.a.login_of(THERE)
    assert (first.ended, second.ended) == (errors.SUPERSEDED, None)
    assert dormant(stage.b) == [THERE]
    late = Session()
    stage.b.within(stage.b.router.seat, late, THERE, stream_of(THERE), (0, 1))
    assert late.ended == errors.TIMEOUT
    assert awake(stage.b) == [THERE]
    stage.wait(2 * REST_MS)
    assert dormant(stage.b) == [THERE]


def test_whoever_is_dormant_when_mail_forgets_its_partition_is_announced_anew() -> None:
    stage = Stage()
    session = stage.a.login_of(THERE)
    announced = session.round
    stage.b.within(stage.b.driver.drop, (THERE % 4,))
    stage.b.within(stage.b.driver.serve, (THERE % 4,))
    stage.run()
    stage.wait(1_000)
    assert session.round == announced + 1
    assert session.ended is None
    assert dormant(stage.b) == [THERE]


def test_a_device_that_is_replaced_is_told_nothing_any_more() -> None:
    stage = Stage()
    stage.a.login_of(THERE)
    stage.b.within(stage.b.router.end_user, THERE, errors.SUPERSEDED)
    presence.dismiss(stage.b.mail, THERE)
    assert (dormant(stage.b), awake(stage.b)) == ([], [])
    assert stage.b.mail.session_of(THERE) is None
