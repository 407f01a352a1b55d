"""The router of two nodes: who is asked, who is answered, who is let in, and what happens when there is no room."""

from typing import Any

import pytest

from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Refused, Registered
from node.mail import effects
from node.routing import codes
from node.routing.settings import RoutingSettings
from node.wire import errors
from tests.node.routing.stage import Session, Stage

HERE, THERE = 4, 5
"""Users: node a is the primary of the one, b of the other."""
KEY, STREAM = bytes(32), b"streams!"


def outcomes(stage: Stage, ask: Any, *arguments: Any) -> list[Outcome]:
    found: list[Outcome] = []
    stage.a.within(ask, *arguments, found.append)
    stage.run()
    return found


# ---- account requests ------------------------------------------------------------------------------------


def test_requests_go_to_whoever_is_the_users_primary() -> None:
    stage = Stage()
    router = stage.a.router
    assert outcomes(stage, router.request_pin, THERE, "10.0.0.1") == [PinSent(THERE, 1_000, 2_000)]
    assert outcomes(stage, router.register, THERE, "123456", KEY, STREAM, "10.0.0.1") == [
        Registered(THERE, 1, False, None)
    ]
    assert stage.a.asked == []
    assert stage.b.asked == [("pin", THERE, "10.0.0.1"), ("register", THERE, "123456", "10.0.0.1")]
    outcomes(stage, router.request_pin, HERE, "10.0.0.1")
    assert stage.a.asked == [("pin", HERE, "10.0.0.1")]


def test_each_login_is_given_a_higher_number_than_the_one_before() -> None:
    stage = Stage()
    logins = []
    for _ in range(2):
        (outcome,) = outcomes(stage, stage.a.router.login, THERE, bytes(32), b"", bytes(64), "10.0.0.1")
        assert isinstance(outcome, LoggedIn)
        logins.append(outcome.login)
    assert logins[0] < logins[1]
    assert logins[0][0] == stage.epoch


def test_nobody_is_registered_without_a_majority_but_everybody_may_log_in() -> None:
    stage = Stage()
    stage.b.majority = False
    for ask, arguments in (
        (stage.a.router.request_pin, (THERE, "10.0.0.1")),
        (stage.a.router.register, (THERE, "123456", KEY, STREAM, "10.0.0.1")),
    ):
        (outcome,) = outcomes(stage, ask, *arguments)
        assert isinstance(outcome, Refused)
        assert outcome.code == errors.OVERLOADED
        assert outcome.retry_ms
    assert stage.b.asked == []
    assert stage.a.login_of(THERE).ended is None


def test_a_request_that_nobody_answers_ends_in_time() -> None:
    stage = Stage()
    stage.b.held = []
    found = outcomes(stage, stage.a.router.login, THERE, bytes(32), b"", bytes(64), "10.0.0.1")
    assert found == []
    stage.wait(stage.a.router.state.settings.ask_ms_max + 100)
    assert [type(one) for one in found] == [Refused]
    stage.b.within(stage.b.held.pop())
    stage.run()
    assert len(found) == 1, "a late answer is nobody's"


def test_a_login_is_put_again_where_a_claim_or_a_link_came_between_and_a_pin_is_not() -> None:
    stage = Stage()
    stage.b.held = []
    logins = outcomes(stage, stage.a.router.login, THERE, bytes(32), b"", bytes(64), "10.0.0.1")
    pins = outcomes(stage, stage.a.router.request_pin, THERE, "10.0.0.1")
    stage.disconnect()
    assert [type(one) for one in pins] == [Refused]
    assert logins == []
    stage.b.held = None
    stage.mend()
    stage.wait(100)
    assert [type(one) for one in logins] == [LoggedIn]
    assert [what for what, *_ in stage.b.asked] == ["login", "pin", "login"]


def test_too_many_requests_are_refused() -> None:
    stage = Stage(asks_max=1)
    stage.b.held = []
    assert outcomes(stage, stage.a.router.request_pin, THERE, "10.0.0.1") == []
    assert [type(one) for one in outcomes(stage, stage.a.router.request_pin, THERE, "10.0.0.1")] == [Refused]


# ---- sessions --------------------------------------------------------------------------------------------


def test_a_session_is_known_to_its_primary_and_is_told_where_that_is() -> None:
    stage = Stage()
    session = stage.a.login_of(THERE)
    assert session.frames(effects.BACKLOG)
    assert [row.user for _, row in stage.b.router.state.dormant] == [THERE]
    assert stage.a.moves == [("b.example", 7443)]
    stage.a.login_of(HERE)
    assert len(stage.a.moves) == 1, "who is at his primary already need not move"


def test_a_second_login_ends_the_first_wherever_it_is() -> None:
    stage = Stage()
    for first, second in ((stage.a, stage.b), (stage.b, stage.a), (stage.a, stage.a)):
        for user in (HERE, THERE):
            before, after = first.login_of(user), second.login_of(user)
            stage.run()
            assert (before.ended, after.ended) == (errors.SUPERSEDED, None)


def test_a_lower_login_that_is_announced_late_is_to_connect_again() -> None:
    stage = Stage()
    stage.a.login_of(THERE)
    late = Session()
    stage.b.within(stage.b.router.seat, late, THERE, THERE.to_bytes(8, "big"), (0, 1))
    assert late.ended == errors.TIMEOUT
    assert [one.user for one in stage.b.router.state.peers[b"a"].remotes.values()] == [THERE]


def test_a_device_that_was_replaced_does_not_come_in_by_an_announcement() -> None:
    stage = Stage()
    session = stage.a.login_of(THERE)
    stage.a.verdict = errors.SUPERSEDED
    stage.claim(THERE % 4, b"a")
    stage.wait(200)
    assert session.ended == errors.SUPERSEDED
    assert stage.a.router.state.sessions == {}
    assert stage.a.mail.sessions == {}


def test_an_operator_ends_a_session_at_another_edge() -> None:
    stage = Stage()
    session = stage.a.login_of(THERE)
    stage.b.within(stage.b.router.end_user, THERE, errors.BLOCKED)
    stage.run()
    assert session.ended == errors.BLOCKED


def test_sessions_of_an_edge_that_is_gone_are_offline_until_it_announces_them_again() -> None:
    stage = Stage()
    stage.a.login_of(THERE)
    stage.disconnect()
    assert stage.b.router.statistics()["sessions_remote"] == 0
    stage.mend()
    stage.wait(200)
    assert [row.user for _, row in stage.b.router.state.dormant] == [THERE]


def test_a_session_that_ended_is_told_to_its_primary() -> None:
    stage = Stage()
    session = stage.a.login_of(THERE)
    stage.a.within(stage.a.router.left, session)
    stage.run()
    assert stage.b.router.statistics()["sessions_remote"] == 0
    stage.a.within(stage.a.router.left, session)


def test_what_finds_no_room_for_a_session_is_said_again() -> None:
    stage = Stage()
    session = stage.a.login_of(THERE)
    sender = stage.b.login_of(THERE + 4)
    stage.shut.add((b"b", b"a", codes.MESSAGES))
    stage.b.within(stage.b.router.send, sender, THERE, 1, 1, b"hello")
    stage.run()
    assert session.frames(effects.DELIVER) == []
    stage.shut.clear()
    stage.wait(2_000)
    (deliver,) = session.frames(effects.DELIVER)
    assert deliver[-1] == b"hello"


# ---- sends -----------------------------------------------------------------------------------------------


def send(stage: Stage, session: Session, recipient: int, *numbers: int) -> None:
    for n in numbers:
        stage.a.within(stage.a.router.send, session, recipient, n, 1, b"body %d" % n)


def accepted(session: Session) -> list[int]:
    return [n for *_, first, last, _ in session.frames(effects.ACCEPTED) for n in range(first, last + 1)]


@pytest.mark.parametrize("recipient", [HERE + 4, THERE + 4])
def test_a_send_is_kept_until_it_is_answered(recipient: int) -> None:
    stage = Stage()
    session = stage.a.login_of(HERE)
    send(stage, session, recipient, 1, 2)
    assert stage.a.router.statistics()["kept_messages"] == 2
    assert stage.a.router.statistics()["kept_bytes"] == 12
    stage.run()
    stage.wait(100)
    assert accepted(session) == [1, 2]
    assert stage.a.router.statistics()["kept_messages"] == 0


def test_what_was_not_answered_goes_to_the_next_primary_in_order() -> None:
    stage = Stage()
    session = stage.a.login_of(HERE)
    send(stage, session, THERE, 1, 2, 3)
    stage.later.clear()  # all of it is lost
    stage.claim(THERE % 4, b"a")
    stage.wait(100)
    assert accepted(session) == [1, 2, 3]
    assert stage.a.router.statistics()["resent"] == 3


def test_while_nobody_serves_each_pair_is_told_once_and_again_when_it_comes_back() -> None:
    stage = Stage(patience_ms=1_000, reopen_ms=100)
    session = stage.a.login_of(HERE)
    stage.disconnect()
    send(stage, session, THERE, 1, 2, 3)
    assert session.frames(effects.BUSY) == []
    stage.wait(1_200)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [1]
    assert stage.a.router.statistics()["kept_messages"] == 0
    send(stage, session, THERE, 4)
    assert session.frames(effects.BUSY) == [], "sent before it heard of it"
    send(stage, session, THERE, 1)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [1], (
        "at once: nobody has served it for long"
    )
    stage.wait(10_000)
    send(stage, session, THERE, 1)
    assert session.frames(effects.BUSY) == [], "that was long ago, and may be over"
    stage.wait(1_200)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [1]
    stage.mend()
    stage.wait(200)
    send(stage, session, THERE, 1, 2)
    stage.run()
    stage.wait(100)
    assert accepted(session) == [1, 2]


def test_a_primary_that_turns_away_each_time_doesnt_keep_senders_waiting() -> None:
    stage = Stage(patience_ms=1_000, reopen_ms=100)
    session = stage.a.login_of(HERE)
    p = THERE % 4
    stage.drop(p)
    send(stage, session, THERE, 1, 2)
    stage.wait(600)
    assert session.frames(effects.BUSY) == [], "it may be served in a moment"
    stage.wait(900)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [1]
    assert stage.a.router.statistics()["kept_messages"] == 0
    stage.b.within(stage.serve, stage.b, p)
    stage.run()
    send(stage, session, THERE, 1, 2)
    stage.run()
    assert accepted(session) == [1, 2]
    stage.drop(p)
    send(stage, session, THERE, 3)
    stage.wait(600)
    assert session.frames(effects.BUSY) == [], "it was served a moment ago"


def test_beyond_what_an_edge_keeps_senders_are_told() -> None:
    stage = Stage(kept_part_messages_max=2)
    session = stage.a.login_of(HERE)
    send(stage, session, THERE, 1, 2, 3)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [3]
    assert stage.a.router.statistics()["busy_full"] == 1


def test_a_send_that_is_never_answered_over_a_link_that_stands_is_given_back() -> None:
    stage = Stage(answer_ms_max=6_000)
    session = stage.a.login_of(HERE)
    send(stage, session, THERE, 1)
    stage.later.clear()
    stage.wait(5_000)
    assert session.frames(effects.BUSY) == []
    stage.wait(2_000)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [1]
    assert stage.a.router.statistics()["unanswered"] == 1


def test_a_send_to_a_node_that_is_out_of_reach_is_given_back_sooner_than_its_link_knows_it() -> None:
    stage = Stage(patience_ms=3_000, answer_ms_max=60_000)
    session = stage.a.login_of(HERE)
    send(stage, session, THERE, 1)
    stage.later.clear()
    stage.wait(4_000)
    assert session.frames(effects.BUSY) == [], "it takes its time"
    send(stage, session, THERE, 2)
    stage.later.clear()
    stage.cut_off.add(stage.b.me)
    stage.wait(1_000)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [1]
    assert stage.a.router.statistics()["unanswered"] == 1


def test_when_its_link_knows_it_too_a_send_has_waited_since_it_was_made() -> None:
    stage = Stage(patience_ms=3_000, answer_ms_max=60_000)
    session = stage.a.login_of(HERE)
    send(stage, session, THERE, 1)
    stage.later.clear()
    stage.cut_off.add(stage.b.me)
    stage.wait(2_000)
    stage.disconnect()
    stage.wait(500)
    assert session.frames(effects.BUSY) == []
    stage.wait(1_000)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [1]


def test_so_it_has_where_its_partition_was_open_for_long_and_its_sender_has_come_back() -> None:
    # Two clusters, one cut off: links knew it after 10 s, and from then on all that was said again had 5 s more.
    stage = Stage(patience_ms=3_000, answer_ms_max=60_000)
    session = stage.a.login_of(HERE)
    send(stage, session, THERE, 1)
    stage.wait(10_000)
    send(stage, session, THERE, 2)
    stage.later.clear()
    stage.cut_off.add(stage.b.me)
    stage.wait(4_000)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [2]
    send(stage, session, THERE, 2)
    stage.later.clear()
    stage.wait(2_000)
    stage.disconnect()
    stage.wait(500)
    assert session.frames(effects.BUSY) == [], "it takes its time"
    stage.wait(1_000)
    assert [effect[4] for effect in session.frames(effects.BUSY)] == [2]


def test_a_sender_is_answered_where_it_spoke_last() -> None:
    stage = Stage()
    before = stage.a.login_of(HERE)
    send(stage, before, THERE, 1)
    late, stage.later = stage.later, []
    after = stage.b.login_of(HERE)
    stage.b.within(stage.b.router.send, after, THERE, 1, 1, b"body 1")
    stage.run()
    stage.later += late
    stage.run()
    stage.wait(100)
    assert accepted(after) == [1]
    assert accepted(before) == []


def test_where_a_sender_spoke_is_forgotten_when_nobody_waits_for_an_answer_there() -> None:
    stage = Stage()
    silent, busy = stage.a.login_of(HERE), stage.a.login_of(HERE + 4)
    send(stage, silent, THERE, 1)
    stage.run()
    stage.a.within(stage.a.router.left, silent)
    wait_ms = stage.a.router.state.settings.answer_ms_max
    for n in (1, 2, 3):
        send(stage, busy, THERE, n)
        stage.wait(wait_ms)
        assert HERE + 4 in stage.b.router.state.origins
    assert list(stage.b.router.state.origins) == [HERE + 4]
    assert accepted(busy) == [1, 2, 3]


# ---- what peers say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channel", "message"),
    [
        (codes.MESSAGES, [-1]),
        (codes.MESSAGES, [codes.OPEN]),
        (codes.MESSAGES, [codes.OPEN, 4]),
        (codes.MESSAGES, [codes.OPEN, "0"]),
        (codes.MESSAGES, [codes.SEND, 1, 1, 1, HERE, THERE, b"short", 1, 1, b""]),
        (codes.MESSAGES, [codes.SEND, 1, 1, 1, HERE, THERE, STREAM, 1, 1, b"x" * 61_441]),
        (codes.MESSAGES, [codes.SEND, 1, 1, 1, HERE, THERE, STREAM, True, 1, b""]),
        (codes.SESSIONS, [codes.ONLINE, 0, [[HERE]]]),
        (codes.SESSIONS, [codes.ONLINE, 0, [[HERE, 1, 1, STREAM, 1, 1]] * 257]),
        (codes.SESSIONS, [codes.ASK, 1, codes.PIN, HERE]),
        (codes.SESSIONS, [codes.ASK, 1, None, HERE, "10.0.0.1"]),
        (codes.SESSIONS, [codes.ANSWER, 1, None]),
        (codes.RECEIPTS, [codes.TELL, HERE, THERE, STREAM, [2, 1], [], 0]),
        (codes.RECEIPTS, [codes.TELL, HERE, THERE, STREAM, [1, 2, 3, 4], [], 0]),
        (codes.RECEIPTS, [codes.TOLD]),
    ],
)
def test_what_makes_no_sense_is_counted_and_the_link_begins_anew(channel: str, message: list[Any]) -> None:
    stage = Stage()
    stage.a.within(stage.a.router.received, b"b", channel, message)
    assert stage.a.router.statistics()["malformed"] == 1
    assert stage.a.resets == [(b"b", channel)]


@pytest.mark.parametrize(
    ("channel", "message", "name"),
    [
        (codes.MESSAGES, [codes.AGAIN + 1, "more"], f"{codes.AGAIN + 1}"),
        (codes.SESSIONS, [9, [1, 2], "more"], "9"),
        (codes.SESSIONS, [codes.ASK, 1, 77, HERE, "10.0.0.1"], f"{codes.ASK}-77"),
        (codes.SESSIONS, [codes.ANSWER, 1, 77, "more"], f"{codes.ANSWER}-77"),
        (codes.RECEIPTS, [9], "9"),
    ],
)
def test_what_a_newer_release_says_is_counted_by_its_code_and_passed_over(
    channel: str, message: list[Any], name: str
) -> None:
    stage = Stage()
    stage.a.within(stage.a.router.received, b"b", channel, message)
    statistics = stage.a.router.statistics()
    assert statistics["malformed"] == 0
    assert statistics["not_understood"] == {channel.removeprefix("route."): {name: 1}}
    assert stage.a.resets == []


@pytest.mark.parametrize("newer", [{b"a"}, {b"b"}, {b"a", b"b"}])
def test_members_of_two_releases_understand_each_other(newer: set[bytes]) -> None:
    """Each kind of message goes both ways, and one of the nodes says more than the other knows."""
    stage = Stage()
    stage.newer = newer
    stage.disconnect()
    stage.mend()  # HELLO, too
    for node, ours, theirs in ((stage.a, HERE, THERE), (stage.b, THERE, HERE)):
        router = node.router
        before = len(outcomes(stage, router.request_pin, theirs, "10.0.0.1"))
        assert before == 1
        sender, recipient = node.login_of(ours + 8), node.login_of(theirs)
        node.within(router.send, sender, theirs + 4, 1, 1, b"waits")
        node.within(router.send, sender, theirs, 1, 1, b"hello")
        stage.run()
        stage.wait(300)
        assert accepted(sender) == [1, 1]
        (deliver,) = recipient.frames(effects.DELIVER)
        stream = deliver[3]
        node.within(router.ack, recipient, ours + 8, stream, 1, 1)
        node.within(router.read, recipient, ours + 8, stream, 1)
        stage.run()
        stage.wait(300)
        assert sender.frames(effects.RECEIPT), "told by way of the other node, over the links of receipts"
        stage.claim(theirs % 4, node.me)
        stage.wait(300)
        stage.claim(theirs % 4, b"b" if node is stage.a else b"a")
        stage.wait(300)
        node.within(router.left, recipient)
        stage.run()
    for node in stage.nodes.values():
        assert node.resets == []
        assert node.router.statistics()["malformed"] == 0


def test_an_ack_that_names_too_much_makes_no_sense() -> None:
    stage = Stage()
    stage.b.login_of(HERE)
    message = [codes.ACK, HERE, THERE, STREAM, 1, 5_000]
    stage.a.within(stage.a.router.received, b"b", codes.MESSAGES, message)
    assert stage.a.resets == [(b"b", codes.MESSAGES)]


def test_what_was_not_opened_is_not_looked_at() -> None:
    stage = Stage()
    message = [codes.SEND, 1, 1, 1, THERE, HERE, STREAM, 1, 1, b"body"]
    stage.a.within(stage.a.router.received, b"b", codes.MESSAGES, message)
    assert stage.a.mail.pairs == {}
    assert stage.a.router.statistics()["unopened"] == 1
    assert stage.a.resets == []


@pytest.mark.parametrize(
    ("name", "value"), [("patience_ms", 0), ("kept_bytes_max", 10), ("answer_ms_max", 4_999), ("told_max", 0)]
)
def test_limits_that_contradict_each_other_are_refused(name: str, value: int) -> None:
    with pytest.raises(ValueError, match=r"routing\."):
        RoutingSettings(**{name: value})  # type: ignore[arg-type]
