"""A process that has ended is found by refusals, at once; by one observer alone only where there is no other one."""

import pytest

from replication.detector import Detector
from replication.detectorstate import (
    ALIVE,
    BEAT,
    DEAD,
    KNOCK,
    KNOCKED,
    LOOK,
    PROBE_ANSWER,
    PROBE_REQUEST,
    SEND,
    STATE,
    SUSPECT,
    UNREACHABLE,
    DetectorSettings,
)

A, B, C, D, E = (bytes([letter]) * 8 for letter in b"ABCDE")
BOOT = b"bootboot"
SETTINGS = DetectorSettings(tick_ms=50, stride_ms=100)


def running(*others: bytes, until: int = 500, settings: DetectorSettings = SETTINGS) -> Detector:
    """A's detector, which hears all others until then."""
    detector = Detector(A, (A, *others), BOOT, settings, 0)
    hear(detector, 0, until, *others)
    return detector


def hear(detector: Detector, start: int, end: int, *peers: bytes) -> list[tuple[object, ...]]:
    effects = []
    for now in range(start, end + 1, 50):
        for peer in peers:
            effects += detector.received(peer, (BEAT, peer, 0), now)
        effects += detector.tick(now)
        detector.check()
    return effects


def knocks(effects: list[tuple[object, ...]]) -> list[tuple[bytes, bytes, int]]:
    """(who is asked, for whom, nonce)"""
    return [(e[1], e[2][1], e[2][2]) for e in effects if e[0] == SEND and e[2][0] == KNOCK]  # type: ignore[index,misc]


def test_of_two_one_believes_itself() -> None:
    detector = running(B)
    assert detector.refused(B, 600) == [(STATE, B, DEAD, B)]
    detector.check()
    counted = detector.statistics()
    assert (counted["deaths"], counted["ended"], counted["refusals"]) == (1, 1, 1)
    assert detector.has_ended(B)


def test_of_three_the_other_one_is_asked_and_says_so() -> None:
    detector = running(B, C)
    effects = detector.refused(B, 600)
    assert (STATE, B, SUSPECT, B) in effects
    [(asked, target, nonce)] = knocks(effects)
    assert (asked, target) == (C, B)
    assert detector.received(C, (KNOCKED, B, nonce, 1), 605) == [(STATE, B, DEAD, B)]
    detector.check()


def test_who_is_refused_alone_is_behind_a_filter() -> None:
    detector = running(B, C)
    [(_, _, nonce)] = knocks(detector.refused(B, 600))
    assert detector.received(C, (KNOCKED, B, nonce, 0), 605) == [(STATE, B, ALIVE, B)]
    counted = detector.statistics()
    assert (counted["deaths"], counted["denied"]) == (0, 1)
    assert not detector.has_ended(B)


def test_most_of_those_who_looked_must_agree() -> None:
    detector = running(B, C, D, E)
    asked = knocks(detector.refused(B, 600))
    assert {one[0] for one in asked} == {C, D, E}
    nonce = asked[0][2]
    assert detector.received(C, (KNOCKED, B, nonce, 1), 605) == []
    assert detector.received(C, (KNOCKED, B, nonce, 1), 606) == [], "twice is once"
    assert detector.received(D, (KNOCKED, B, nonce, 1), 607) == [], "E may have been let in"
    assert detector.received(E, (KNOCKED, B, nonce, 1), 608) == [(STATE, B, DEAD, B)]


def test_who_is_asked_and_busy_is_waited_for_a_moment_only() -> None:
    detector = running(B, C, D, E)
    hear(detector, 550, 600, C, D, E)
    nonce = knocks(detector.refused(B, 600))[0][2]
    detector.received(C, (KNOCKED, B, nonce, 1), 605)
    detector.received(D, (KNOCKED, B, nonce, 1), 606)
    assert (STATE, B, DEAD, B) not in hear(detector, 650, 650, C, D)
    assert (STATE, B, DEAD, B) in hear(detector, 700, 700, C, D)
    assert detector.has_ended(B)


def test_two_behind_a_filter_are_denied_by_the_one_who_was_let_in_and_hold_off_since() -> None:
    detector = running(B, C, D)
    hear(detector, 550, 600, C, D)
    detector.received(C, (KNOCK, B, 7), 600)
    asked = knocks(detector.refused(B, 600))
    assert [one[0] for one in asked] == [D], "C has said so"
    assert detector.state_of(B) == SUSPECT
    assert detector.received(D, (KNOCKED, B, asked[0][2], 0), 606) == [(STATE, B, ALIVE, B)]
    detector.received(C, (KNOCK, B, 8), 610)
    for now in range(650, 1_450, 50):
        assert (STATE, B, SUSPECT, B) not in hear(detector, now, now, C, D)
        assert detector.refused(B, now + 10) == []
    effects = hear(detector, 1_450, 1_500, C, D)
    nonces = [e[2][2] for e in effects if e[0] == SEND and e[2][0] == PROBE_REQUEST]  # type: ignore[index]
    detector.received(D, (PROBE_ANSWER, B, nonces[-1], B), 1_505)
    detector.received(C, (KNOCK, B, 9), 1_600)
    hear(detector, 1_550, 1_700, C, D)
    assert detector.refused(B, 1_710) == [], "somebody hears it"
    assert detector.state_of(B) == UNREACHABLE
    assert detector.statistics()["refusals"] == 1
    hear(detector, 1_750, 1_800, B, C, D)
    assert knocks(detector.refused(B, 1_900)), "a word ends that"


def test_members_of_other_clusters_neither_look_nor_count() -> None:
    detector = running(B, C)
    for other in (D, E):
        detector.added(other, "elsewhere")
    hear(detector, 550, 600, B, C, D, E)
    asked = knocks(detector.refused(B, 700))
    assert [one[0] for one in asked] == [C]
    detector.received(D, (KNOCK, B, 7), 701)
    assert detector.received(C, (KNOCKED, B, asked[0][2], 1), 705) == [(STATE, B, DEAD, B)]


def test_of_two_one_believes_itself_however_many_others_it_is_engaged_with() -> None:
    detector = running(B)
    for other in (D, E):
        detector.added(other, "elsewhere")
    hear(detector, 550, 600, B, D, E)
    assert detector.refused(B, 700) == [(STATE, B, DEAD, B)]
    asked = knocks(detector.refused(D, 700))
    assert [one[0] for one in asked] == [E], "who is of its cluster"
    detector.removed(E)
    detector.refused(D, 1_000)
    assert detector.state_of(D) == SUSPECT, "the only one of another cluster is found by silence"
    detector.added(D)
    detector.check()


def test_one_that_was_let_in_outweighs_the_others() -> None:
    detector = running(B, C, D, E)
    nonce = knocks(detector.refused(B, 600))[0][2]
    detector.received(C, (KNOCKED, B, nonce, 1), 605)
    assert detector.received(D, (KNOCKED, B, nonce, 0), 606) == [(STATE, B, ALIVE, B)]
    detector.received(E, (KNOCKED, B, nonce, 1), 607)
    assert detector.state_of(B) == ALIVE


def test_who_asks_was_refused_itself() -> None:
    """So the second one to find out waits for nobody's answer."""
    detector = running(B, C)
    detector.received(C, (KNOCK, B, 7), 560)
    assert detector.state_of(B) == ALIVE, "another one's word alone is nothing"
    effects = detector.refused(B, 600)
    assert (STATE, B, DEAD, B) in effects
    assert knocks(effects) == []
    detector.check()


def test_who_asks_later_is_believed_too() -> None:
    detector = running(B, C)
    detector.refused(B, 600)
    assert (STATE, B, DEAD, B) in detector.received(C, (KNOCK, B, 7), 601)


def test_one_who_asks_is_no_majority_of_many() -> None:
    detector = running(B, C, D, E)
    detector.received(C, (KNOCK, B, 7), 560)
    nonce = knocks(detector.refused(B, 600))[0][2]
    assert detector.state_of(B) == SUSPECT
    detector.received(E, (KNOCKED, B, nonce, 1), 604)
    assert detector.received(D, (KNOCKED, B, nonce, 1), 605) == [(STATE, B, DEAD, B)]
    detector.check()


def test_what_others_said_long_ago_or_before_a_word_counts_no_more() -> None:
    for heard in (False, True):
        detector = running(B, C)
        detector.received(C, (KNOCK, B, 7), 510)
        if heard:
            hear(detector, 550, 1_000, B, C)
        else:
            hear(detector, 550, 1_500, C)
        detector.refused(B, detector.state.tick_at + 60)
        assert detector.state_of(B) == SUSPECT


def test_with_members_of_whom_none_is_there_silence_must_tell() -> None:
    detector = running(B, C)
    hear(detector, 550, 2_500, B)
    assert detector.state_of(C) == DEAD
    assert detector.refused(B, 2_600) == [(STATE, B, SUSPECT, B)]
    hear(detector, 2_650, 4_200)
    assert detector.state_of(B) == SUSPECT
    hear(detector, 4_250, 4_300)
    assert detector.state_of(B) == DEAD
    assert not detector.has_ended(B)


def test_nobody_who_wasnt_asked_is_believed() -> None:
    detector = running(B, C, D)
    nonce = knocks(detector.refused(B, 600))[0][2]
    for sender, number in ((B, nonce), (C, nonce + 1)):
        assert detector.received(sender, (KNOCKED, D, number, 1), 605) in ([], [(STATE, B, ALIVE, B)])
    assert detector.state_of(D) == ALIVE
    assert detector.received(C, (KNOCKED, B, nonce + 1, 1), 606) == []
    assert detector.state_of(B) != DEAD


def test_a_word_is_stronger_than_any_refusal() -> None:
    detector = running(B, C)
    nonce = knocks(detector.refused(B, 600))[0][2]
    assert detector.heard(B, 601) == [(STATE, B, ALIVE, B)]
    assert detector.received(C, (KNOCKED, B, nonce, 1), 605) == []
    assert detector.state_of(B) == ALIVE


def test_what_was_said_just_before_the_end_is_waited_for() -> None:
    detector = running(B)
    detector.heard(B, 590)
    assert detector.refused(B, 600) == []
    hear(detector, 550, 650)
    assert detector.refused(B, 660) == [(STATE, B, DEAD, B)]


def test_a_process_that_lived_on_is_a_wrong_death() -> None:
    detector = running(B)
    detector.refused(B, 600)
    assert detector.received(B, (BEAT, B, 0), 700) == [(STATE, B, ALIVE, B)]
    assert detector.statistics()["wrong_deaths"] == 1


def test_another_process_in_its_place_is_a_restart() -> None:
    detector = running(B)
    detector.refused(B, 600)
    detector.received(B, (BEAT, b"another!", 0), 700)
    assert detector.state_of(B) == ALIVE
    counted = detector.statistics()
    assert (counted["restarts"], counted["wrong_deaths"]) == (1, 0)


def test_who_is_heard_by_another_since_hasnt_ended() -> None:
    """Its links are cut, and a filter refuses in its name; but somebody has asked it."""
    detector = running(B, C)
    hear(detector, 550, 2_600, C)
    assert detector.state_of(B) == DEAD
    nonce = knocks(detector.refused(B, 2_600))[0][2]
    detector.received(C, (KNOCKED, B, nonce, 1), 2_605)
    assert detector.has_ended(B)
    asked = [
        e[2][2]  # type: ignore[index]
        for e in hear(detector, 2_650, 4_000, C)
        if e[0] == SEND and e[2][0] == PROBE_REQUEST  # type: ignore[index]
    ]
    detector.received(C, (PROBE_ANSWER, B, asked[-1], B), 4_000)
    assert not detector.has_ended(B)
    assert detector.state_of(B) != DEAD
    detector.check()


def test_others_are_asked_again_only_after_a_beat() -> None:
    detector = running(B, C)
    assert len(knocks(detector.refused(B, 600))) == 1
    assert knocks(detector.refused(B, 660)) == []
    hear(detector, 650, 900, C)
    assert len(knocks(detector.refused(B, 900))) == 1


def test_a_peer_that_was_never_heard_is_not_judged_by_refusals() -> None:
    """Nodes that start at the same time refuse one another for a moment."""
    detector = Detector(A, (A, B), BOOT, SETTINGS, 0)
    detector.tick(0)
    assert detector.refused(B, 100) == []
    assert detector.refused(C, 100) == [], "nor a stranger"


def test_own_pause_makes_old_evidence_void() -> None:
    detector = running(B, C)
    nonce = knocks(detector.refused(B, 600))[0][2]
    hear(detector, 60_000, 60_000, C)
    assert detector.received(C, (KNOCKED, B, nonce, 1), 60_010) == []
    assert detector.state_of(B) == ALIVE


def test_it_can_be_switched_off() -> None:
    detector = running(B, settings=DetectorSettings(tick_ms=50, stride_ms=100, ended_ms=0))
    assert detector.refused(B, 600) == []
    assert detector.state_of(B) == ALIVE


def test_whoever_is_asked_looks_and_tells() -> None:
    detector = running(B, C)
    assert detector.received(C, (KNOCK, B, 7), 510) == [(LOOK, B, C, 7)]
    assert detector.knocked(B, C, 7, True) == [(SEND, C, (KNOCKED, B, 7, 1))]
    assert detector.knocked(B, C, 7, False) == [(SEND, C, (KNOCKED, B, 7, 0))]


def test_looks_for_others_are_bounded() -> None:
    detector = running(B, C)
    looks = sum(len(detector.received(C, (KNOCK, B, n), 510)) for n in range(1_000))
    assert 0 < looks < 100
    assert detector.statistics()["relays_refused"] == 1_000 - looks


@pytest.mark.parametrize(
    "message",
    [(KNOCK, B), (KNOCK, "B", 1), (KNOCK, B, b"1"), (KNOCKED, B, 1), (KNOCKED, B, 1, 2), (KNOCKED, 1, 1, 1)],
)
def test_what_makes_no_sense_is_counted(message: tuple[object, ...]) -> None:
    detector = running(B, C)
    assert detector.received(C, message, 510) == []
    assert detector.statistics()["misunderstood"] == 1
    assert [detector.received(C, (KNOCK, one, 1), 510) for one in (C, D)] == [[], []]
    assert detector.statistics()["misunderstood"] == 3
