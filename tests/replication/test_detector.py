"""Deaths are found in time, and nobody is called dead of whom some path still tells."""

import pytest
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from replication.detector import RELAY_SHARE, Detector
from replication.detectorstate import (
    ALIVE,
    BEAT,
    DEAD,
    PAUSED,
    PROBE,
    PROBE_ANSWER,
    PROBE_REPLY,
    PROBE_REQUEST,
    RESTARTED,
    SEND,
    STATE,
    SUSPECT,
    UNKNOWN,
    UNREACHABLE,
    DetectorSettings,
)
from tests.replication.detectors import World

A, B, C, D = (bytes([letter]) * 8 for letter in b"ABCD")
BOOT = b"bootboot"
OTHER_BOOT = b"bootBOOT"


SETTINGS = DetectorSettings(tick_ms=50, stride_ms=100)


def alone(*members: bytes, now: int = 0) -> Detector:
    return Detector(A, members or (A, B, C), BOOT, SETTINGS, now)


def ticks(
    detector: Detector, start: int, end: int, *, hear: tuple[bytes, ...] = ()
) -> list[tuple[object, ...]]:
    """Tick from start to end, every 50 ms, while these peers beat."""
    effects = []
    for now in range(start, end + 1, 50):
        for peer in hear:
            effects += detector.received(peer, (BEAT, peer, 0), now)
        effects += detector.tick(now)
        detector.check()
    return effects


def sent(effects: list[tuple[object, ...]], code: int) -> list[tuple[object, ...]]:
    return [
        (peer, *message)
        for kind, peer, *rest in effects
        if kind == SEND
        for message in rest
        if message[0] == code
    ]


# ---- alone ---------------------------------------------------------------------------------------------


def test_a_peer_never_heard_is_unknown_then_suspected_then_dead() -> None:
    detector = alone(A, B)
    assert detector.state_of(B) == UNKNOWN
    ticks(detector, 0, 950)
    assert detector.state_of(B) == UNKNOWN
    effects = ticks(detector, 1_000, 1_700)
    assert [e for e in effects if e[0] == STATE] == [(STATE, B, SUSPECT, None)]
    assert ticks(detector, 1_750, 1_750)[0] == (STATE, B, DEAD, None)


def test_a_node_alone_in_its_cluster_has_nobody_to_judge() -> None:
    detector = alone(A)
    assert ticks(detector, 0, 5_000) == []
    assert detector.in_state(ALIVE, DEAD, UNKNOWN, SUSPECT, UNREACHABLE) == ()


def test_beats_go_to_every_member_once_an_interval() -> None:
    detector = alone(A, B, C, D)
    beats = sent(ticks(detector, 0, 950), BEAT)
    assert beats == [(peer, BEAT, BOOT, 0) for _ in range(4) for peer in (B, C, D)]


def test_any_word_is_a_sign_of_life() -> None:
    detector = alone(A, B)
    assert detector.heard(B, 0) == [(STATE, B, ALIVE, None)]
    for now in range(0, 5_000, 500):
        ticks(detector, now, now + 450)
        detector.heard(B, now + 450)
    assert detector.state_of(B) == ALIVE


def test_a_word_brings_a_dead_peer_back() -> None:
    detector = alone(A, B)
    detector.received(B, (BEAT, OTHER_BOOT, 0), 0)
    ticks(detector, 0, 2_000)
    assert detector.state_of(B) == DEAD
    assert detector.received(B, (BEAT, OTHER_BOOT, 0), 2_000) == [(STATE, B, ALIVE, OTHER_BOOT)]
    assert detector.statistics()["wrong_deaths"] == 1


def test_another_boot_id_is_a_restart_and_no_wrong_death() -> None:
    detector = alone(A, B)
    detector.received(B, (BEAT, b"1" * 8, 0), 0)
    ticks(detector, 0, 2_000)
    effects = detector.received(B, (BEAT, b"2" * 8, 0), 2_000)
    assert effects == [(RESTARTED, B, b"2" * 8), (STATE, B, ALIVE, b"2" * 8)]
    assert detector.received(B, (BEAT, b"3" * 8, 0), 2_010) == [(RESTARTED, B, b"3" * 8)]
    statistics = detector.statistics()
    assert (statistics["restarts"], statistics["wrong_deaths"]) == (2, 0)


def test_a_late_beat_of_a_former_start_is_no_sign_of_life() -> None:
    detector = alone(A, B)
    detector.received(B, (BEAT, b"1" * 8, 0), 0)
    detector.received(B, (BEAT, b"2" * 8, 0), 10)
    ticks(detector, 0, 2_000)
    assert detector.received(B, (BEAT, b"1" * 8, 0), 2_000) == []
    assert detector.state_of(B) == DEAD
    assert detector.boot_of(B) == b"2" * 8


def test_a_start_that_was_taken_for_the_former_one_and_goes_on_speaking_is_believed() -> None:
    """The late beat was the former one's; who has only just started can't know that."""
    detector = alone(A, B)
    detector.received(B, (BEAT, b"2" * 8, 0), 0)
    detector.received(B, (BEAT, b"1" * 8, 0), 10)  # late
    for now in range(50, 5_000, 50):
        detector.received(B, (BEAT, b"2" * 8, 0), now)
        detector.tick(now)
        detector.check()
    assert detector.state_of(B) == ALIVE
    assert detector.boot_of(B) == b"2" * 8


def test_a_suspect_is_asked_for_by_others_in_each_interval() -> None:
    detector = alone(A, B, C, D)
    ticks(detector, 0, 500, hear=(B, C, D))
    effects = ticks(detector, 550, 2_200, hear=(C, D))
    rounds = sent(effects, PROBE_REQUEST)
    assert {each[0] for each in rounds} == {C, D}
    assert {each[2] for each in rounds} == {B}
    nonces = [each[3] for each in rounds]
    assert len(set(nonces)) == 3, "one round at once, one more in each interval until it is dead"
    assert all(nonces.count(nonce) == 2 for nonce in nonces)


def test_only_those_that_are_alive_are_asked() -> None:
    detector = alone(A, B, C, D)
    ticks(detector, 0, 500, hear=(B, C, D))
    assert {each[0] for each in sent(ticks(detector, 550, 3_000, hear=(C,)), PROBE_REQUEST)} == {C}


def test_no_more_than_the_stated_number_are_asked_and_all_have_their_turn() -> None:
    members = [bytes([n]) * 8 for n in range(10)]
    detector = Detector(members[0], members, BOOT, DetectorSettings(tick_ms=50, stride_ms=100, probes=2), 0)
    others = tuple(members[2:])
    ticks(detector, 0, 500, hear=tuple(members[1:]))
    asked = sent(ticks(detector, 550, 10_000, hear=others), PROBE_REQUEST)
    by_round: dict[object, list[object]] = {}
    for peer, _, _, nonce in asked:
        by_round.setdefault(nonce, []).append(peer)
    assert {len(peers) for peers in by_round.values()} == {2}
    assert {peer for peer, *_ in asked} == set(others)


def test_an_answer_keeps_a_peer_alive_but_unreachable() -> None:
    detector = alone()
    ticks(detector, 0, 500, hear=(B, C))
    effects = []
    for now in range(550, 6_000, 50):
        asked = sent(ticks(detector, now, now, hear=(C,)), PROBE_REQUEST)
        for peer, _, target, nonce in asked:
            effects += detector.received(peer, (PROBE_ANSWER, target, nonce, B), now + 10)
    assert detector.state_of(B) == UNREACHABLE
    assert (STATE, B, UNREACHABLE, B) in effects
    assert detector.statistics()["deaths"] == 0
    effects = ticks(detector, 6_000, 8_000, hear=(C,))
    assert (STATE, B, DEAD, B) in effects, "nobody hears it any more"


def test_an_old_answer_proves_only_that_it_lived_when_it_was_asked_for() -> None:
    detector = alone()
    ticks(detector, 0, 500, hear=(B, C))
    (_, _, _, nonce), *_ = sent(ticks(detector, 550, 1_500, hear=(C,)), PROBE_REQUEST)
    ticks(detector, 1_550, 2_200, hear=(C,))
    detector.received(C, (PROBE_ANSWER, B, nonce, B), 2_200)
    assert detector.state_of(B) == UNREACHABLE
    effects = ticks(detector, 2_250, 3_250, hear=(C,))
    assert (STATE, B, DEAD, B) in effects, "counted from the question, not from the answer"


def test_an_answer_to_no_question_is_none() -> None:
    detector = alone()
    ticks(detector, 0, 2_500, hear=(C,))
    assert detector.state_of(B) == DEAD
    detector.received(C, (PROBE_ANSWER, B, 12_345, B), 2_500)
    assert detector.state_of(B) == DEAD
    assert detector.statistics()["outdated"] == 1


def test_a_dead_peer_is_asked_for_less_often_and_found_again() -> None:
    detector = alone()
    ticks(detector, 0, 2_500, hear=(C,))
    asked = sent(ticks(detector, 2_550, 12_500, hear=(C,)), PROBE_REQUEST)
    assert len(asked) == 10
    detector.received(C, (PROBE_ANSWER, B, asked[-1][3], B), 12_500)
    assert detector.state_of(B) == UNREACHABLE


def test_an_answer_tells_of_a_restart() -> None:
    detector = alone()
    ticks(detector, 0, 500, hear=(B, C))
    (_, _, _, nonce), *_ = sent(ticks(detector, 550, 1_500, hear=(C,)), PROBE_REQUEST)
    effects = detector.received(C, (PROBE_ANSWER, B, nonce, OTHER_BOOT), 1_500)
    assert effects == [(RESTARTED, B, OTHER_BOOT), (STATE, B, UNREACHABLE, OTHER_BOOT)]


def test_an_answer_that_is_overtaken_by_a_word_of_a_newer_start_brings_no_older_one_back() -> None:
    detector = alone()
    ticks(detector, 0, 500, hear=(B, C))
    (_, _, _, nonce), *_ = sent(ticks(detector, 550, 1_500, hear=(C,)), PROBE_REQUEST)
    detector.received(B, (BEAT, b"3" * 8, 0), 1_500)
    assert detector.received(C, (PROBE_ANSWER, B, nonce, b"2" * 8), 1_510) == []
    assert detector.boot_of(B) == b"3" * 8


def test_a_peer_that_says_for_long_that_it_cannot_hear_us_is_unreachable() -> None:
    detector = alone(A, B)
    for now in range(0, 1_050, 50):
        assert detector.state_of(B) in (UNKNOWN, ALIVE)
        detector.received(B, (BEAT, B, 1), now)
        detector.tick(now)
    assert detector.state_of(B) == UNREACHABLE
    assert detector.received(B, (BEAT, B, 0), 1_050) == [(STATE, B, ALIVE, B)]


def test_we_say_that_we_hear_nothing() -> None:
    detector = alone()
    beats = sent(ticks(detector, 0, 1_000, hear=(C,)), BEAT)
    assert beats[-2:] == [(B, BEAT, BOOT, 1), (C, BEAT, BOOT, 0)]


def test_probes_are_passed_on_and_answered_without_being_remembered() -> None:
    detector = alone()
    detector.tick(0)
    assert sent(detector.received(B, (PROBE_REQUEST, C, 7), 10), PROBE) == [(C, PROBE, B, 7)]
    assert sent(detector.received(C, (PROBE_REPLY, B, 7, C), 20), PROBE_ANSWER) == [
        (B, PROBE_ANSWER, C, 7, C)
    ]
    assert sent(detector.received(B, (PROBE, C, 8), 30), PROBE_REPLY) == [(B, PROBE_REPLY, C, 8, BOOT)]


def test_probes_for_others_are_bounded() -> None:
    detector = alone()
    detector.tick(0)
    limit = RELAY_SHARE * detector.state.settings.probes * 2
    asked = [detector.received(B, (PROBE_REQUEST, C, n), 10) for n in range(limit + 10)]
    assert sum(len(sent(effects, PROBE)) for effects in asked) == limit
    assert detector.statistics()["relays_refused"] == 10
    detector.tick(250)
    assert sent(detector.received(B, (PROBE_REQUEST, C, 1), 260), PROBE)


@pytest.mark.parametrize(
    "message",
    [
        (),
        (99,),
        (BEAT,),
        (BEAT, b"short", 0),
        (BEAT, B, 2),
        (PROBE_REQUEST, C),
        (PROBE_REQUEST, "C", 1),
        (PROBE, C, b"1"),
        (PROBE_ANSWER, C, 1, b""),
        "text",
    ],
)
def test_what_is_not_understood_is_counted_and_is_a_word_all_the_same(message: object) -> None:
    detector = alone()
    assert detector.received(B, message, 0) == [(STATE, B, ALIVE, None)]
    assert detector.statistics()["misunderstood"] == 1


def test_strangers_are_nobody() -> None:
    detector = alone()
    assert detector.received(D, (BEAT, D, 0), 0) == []
    assert detector.heard(D, 0) == []
    assert detector.received(B, (PROBE_REQUEST, D, 1), 0)[1:] == []
    assert detector.received(B, (PROBE_REQUEST, B, 1), 0) == []
    assert detector.statistics()["strangers"] == 2


def test_after_a_pause_everybody_has_all_of_the_time_again() -> None:
    detector = alone(A, B, C, D)
    ticks(detector, 0, 500, hear=(B, C, D))
    ticks(detector, 550, 1_600, hear=(C, D))
    assert detector.state_of(B) == SUSPECT
    assert detector.tick(61_600)[0] == (PAUSED, 60_000)
    assert (detector.state_of(B), detector.state_of(C), detector.state_of(D)) == (SUSPECT, ALIVE, ALIVE)
    ticks(detector, 61_650, 62_300)
    assert (detector.state_of(B), detector.state_of(C), detector.state_of(D)) == (SUSPECT, ALIVE, ALIVE)
    ticks(detector, 62_350, 62_400)
    assert detector.state_of(B) == DEAD, "a suspect has the time to confirm"
    ticks(detector, 62_450, 63_300)
    assert (detector.state_of(C), detector.state_of(D)) == (SUSPECT, SUSPECT)


def test_a_peer_known_to_be_dead_stays_dead_over_a_pause() -> None:
    detector = alone(A, B)
    ticks(detector, 0, 2_000)
    detector.tick(100_000)
    assert detector.state_of(B) == DEAD


def test_an_unreachable_peer_stays_so_over_a_pause() -> None:
    detector = alone()
    ticks(detector, 0, 500, hear=(B, C))
    (_, _, _, nonce), *_ = sent(ticks(detector, 550, 1_500, hear=(C,)), PROBE_REQUEST)
    detector.received(C, (PROBE_ANSWER, B, nonce, B), 1_500)
    effects = detector.tick(100_000)
    assert [e for e in effects if e[0] == STATE] == []
    assert detector.state_of(B) == UNREACHABLE


def test_a_slow_node_accuses_late() -> None:
    """Each tick comes after 400 ms and counts as 100."""
    detector = alone(A, B)
    detector.heard(B, 0)
    for now in range(0, 7_200, 400):
        detector.tick(now)
        assert detector.state_of(B) != DEAD
    detector.tick(7_200)
    assert detector.state_of(B) == DEAD
    assert detector.statistics()["lost_time_ms"] == 18 * 300


def test_a_clock_that_stands_or_runs_backwards_does_no_harm() -> None:
    detector = alone(A, B, now=1_000)
    detector.heard(B, 1_000)
    for now in (1_000, 1_000, 900, 500, 1_000, 1_050):
        detector.tick(now)
        detector.heard(B, now - 300)
        detector.check()
    assert detector.state_of(B) == ALIVE
    assert detector.state.clock == 50


@pytest.mark.parametrize(
    "wrong",
    [
        {"suspect_ms": 499},
        {"confirm_ms": 499},
        {"tick_ms": 201},
        {"stride_ms": 600},
        {"pause_ms": 1_100},
        {"probes": 0},
        {"beat_ms": 1},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="detector"):
        DetectorSettings(**wrong)


def test_a_boot_id_has_its_size() -> None:
    with pytest.raises(ValueError, match="boot id"):
        Detector(A, (A, B), b"short", DetectorSettings(), 0)


# ---- together ------------------------------------------------------------------------------------------


def test_all_find_each_other_in_any_order_of_starts() -> None:
    world = World(4, 1)
    for name in world.names:
        world.start(name)
        world.run(3_000)
    assert all(set(world.states(name).values()) == {ALIVE} for name in world.names)


def test_a_crash_is_found_by_all_and_a_restart_too() -> None:
    world = World(4, 2)
    world.start_all()
    world.run(5_000)
    world.crash(B)
    world.run(world.bound_ms)
    assert [world.states(name)[B] for name in (A, C, D)] == [DEAD] * 3
    world.start(B)
    world.run(1_000)
    assert [world.states(name)[B] for name in (A, C, D)] == [ALIVE] * 3
    assert all(len(world.told(name, RESTARTED)) == 1 for name in (A, C, D))


def test_one_bad_link_is_no_death() -> None:
    world = World(3, 3)
    world.start_all()
    world.run(5_000)
    world.set_loss(A, B, 1.0)
    world.set_loss(B, A, 1.0)
    world.run(20_000)
    assert world.states(A) == {B: UNREACHABLE, C: ALIVE}
    assert world.states(B) == {A: UNREACHABLE, C: ALIVE}
    assert world.states(C) == {A: ALIVE, B: ALIVE}
    world.crash(B)
    world.run(world.bound_ms)
    assert world.states(A) == {B: DEAD, C: ALIVE}


def test_a_link_cut_one_way_is_seen_from_both_ends() -> None:
    world = World(3, 4)
    world.start_all()
    world.run(5_000)
    world.set_loss(A, B, 1.0)
    world.run(10_000)
    assert world.states(A) == {B: UNREACHABLE, C: ALIVE}
    assert world.states(B) == {A: UNREACHABLE, C: ALIVE}


def test_a_link_cut_one_way_between_two_is_a_death_to_the_one_that_hears_nothing() -> None:
    world = World(2, 5)
    world.start_all()
    world.run(5_000)
    world.set_loss(A, B, 1.0)
    world.run(10_000)
    assert world.states(A) == {B: UNREACHABLE}
    assert world.states(B) == {A: DEAD}


def test_a_node_that_stood_still_calls_nobody_dead() -> None:
    world = World(3, 6)
    world.start_all()
    world.run(5_000)
    world.pause(A, 30_000)
    world.run(29_900)
    assert world.states(B)[A] == DEAD
    before = len(world.told(A, STATE))
    world.run(5_000)
    assert len(world.told(A, PAUSED)) == 1
    assert len(world.told(A, STATE)) == before
    assert world.states(B)[A] == ALIVE


def test_short_pauses_of_everybody_kill_nobody() -> None:
    world = World(3, 7)
    world.start_all()
    world.run(3_000)
    for _ in range(60):
        for name in world.names:
            world.pause(name, world.random.randint(0, 450))
        world.run(500)
    assert all(not [e for e in world.told(name, STATE) if e[2] == DEAD] for name in world.names)


def test_messages_are_linear_in_members_also_when_half_of_them_die() -> None:
    settings = DetectorSettings()
    for count in (6, 12, 24):
        world = World(count, 8)
        world.start_all()
        world.run(5_000)
        dead, living = world.names[: count // 2], world.names[count // 2 :]
        for name in dead:
            world.crash(name)
        worst = 0
        for _ in range(16):
            before = {name: world.nodes[name].sent for name in living}
            world.run(settings.beat_ms)
            worst = max(worst, *(world.nodes[name].sent - before[name] for name in living))
        per_member = 2 + settings.probes * 2 + RELAY_SHARE * settings.probes
        assert worst <= per_member * count


class Detectors(RuleBasedStateMachine):
    """Whatever happens to links and nodes: `World.check` after every tick."""

    @initialize(count=st.integers(2, 5), seed=st.integers(0, 2**32))
    def begin(self, count: int, seed: int) -> None:
        self.world = World(count, seed)
        self.world.start_all()

    def node(self, number: int) -> bytes:
        return self.world.names[number % len(self.world.names)]

    @rule(length_ms=st.integers(1, 80).map(lambda n: 50 * n))
    def time_goes_on(self, length_ms: int) -> None:
        self.world.run(length_ms)

    @rule()
    def long_time_goes_on(self) -> None:
        self.world.run(self.world.settled_ms + 100)

    @rule(a=st.integers(0, 4), b=st.integers(0, 4), share=st.sampled_from([0.0, 0.1, 0.3, 1.0, 1.0]))
    def link(self, a: int, b: int, share: float) -> None:
        if self.node(a) != self.node(b):
            self.world.set_loss(self.node(a), self.node(b), share)

    @rule(a=st.integers(0, 4))
    def crash(self, a: int) -> None:
        if self.world.nodes[self.node(a)].detector is not None:
            self.world.crash(self.node(a))

    @rule(a=st.integers(0, 4))
    def start(self, a: int) -> None:
        if self.world.nodes[self.node(a)].detector is None:
            self.world.start(self.node(a))

    @rule(a=st.integers(0, 4), length_ms=st.integers(1, 5_000))
    def pause(self, a: int, length_ms: int) -> None:
        if self.world.nodes[self.node(a)].detector is not None:
            self.world.pause(self.node(a), length_ms)

    @rule(a=st.integers(0, 4), b=st.integers(0, 4))
    def data(self, a: int, b: int) -> None:
        a_, b_ = self.node(a), self.node(b)
        if a_ != b_ and self.world.runs(a_, 0):
            self.world.send(a_, b_, None)

    @precondition(lambda self: any(self.world.loss.values()))
    @rule()
    def heal(self) -> None:
        self.world.heal()

    @rule()
    def heal_and_wait(self) -> None:
        """Everybody that runs finds everybody else that does, and nobody else."""
        world = self.world
        world.heal()
        world.run(5_000 + world.settled_ms + 200)
        running = [name for name in world.names if world.nodes[name].detector is not None]
        for name in running:
            expected = {peer: ALIVE if peer in running else DEAD for peer in world.names if peer != name}
            assert world.states(name) == expected

    @invariant()
    def all_is_bounded(self) -> None:
        if hasattr(self, "world"):
            for node in self.world.nodes.values():
                if node.detector is not None:
                    assert (
                        node.detector.statistics()["rounds_open"]
                        <= node.detector.state.settings.rounds_max * 4
                    )


TestDetectors = Detectors.TestCase
TestDetectors.settings = profile(max_examples=60, stateful_step_count=25, deadline=None)


def test_members_come_and_go_while_it_runs() -> None:
    detector = alone(A, B)
    detector.added(C)
    detector.added(C)
    detector.added(A)
    assert detector.state_of(C) == UNKNOWN
    assert [effect[1] for effect in detector.tick(0) if effect[0] == SEND] == [B, C]
    detector.received(C, (BEAT, BOOT, 0, b"what a newer version adds"), 10)
    assert detector.state_of(C) == ALIVE
    detector.removed(C)
    detector.removed(C)
    detector.check()
    assert detector.heard(C, 20) == []
    assert detector.state.counters.strangers == 1
    with pytest.raises(KeyError):
        detector.state_of(C)
