"""The registration machine against the limits it promises, as a checker apart from it counts them."""

from random import Random

import attrs
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.accounts import pins, registration
from node.accounts.outcomes import PinSent, Refused, Registered, Replaced
from node.accounts.pins import DAY_MS, PinRecord, PinRules
from node.accounts.records import WIPES_MAX, Account
from node.accounts.registration import AskPin, RegisterDevice, Step, ask_pin, register_device
from node.accounts.standins import StandIns
from node.wire import errors

USER = 15551230001
SECRET = b"s" * 32
START = 1_800_000_000_000
RULES = PinRules(
    valid_ms=600_000,
    attempts_max=5,
    requests_per_day=5,
    wait_ms=60_000,
    wait_factor=2.0,
    wait_ms_max=3_600_000,
)


@attrs.define
class Phone:
    """One number with its two records, played through the machine; what is durable is what the step says."""

    account: Account | None = None
    record: PinRecord | None = None
    now: int = START
    rules: PinRules = RULES
    sent: list[str] = attrs.Factory(list)
    random: Random = attrs.Factory(lambda: Random(1))
    stand_ins: StandIns = attrs.field(
        default=attrs.Factory(lambda self: StandIns(self.rules, 100, Random(2)), True)
    )

    def ask(self) -> Step:
        pin = f"{self.random.randrange(10**6):06}"
        event = AskPin(USER, self.now, pin, self.random.randbytes(pins.SALT_SIZE))
        step = self._keep(ask_pin(self.record, event, SECRET, self.rules))
        if step.deliver:
            self.sent.append(pin)
        return step

    def register(self, pin: str, device: int = 1) -> Step:
        stand_in = self.stand_ins.guessed(USER, self.now)
        event = RegisterDevice(USER, self.now, pin, bytes([device]) * 32, bytes([device]) * 8, stand_in)
        return self._keep(register_device(self.account, self.record, event, SECRET, self.rules))

    def _keep(self, step: Step) -> Step:
        if step.pin is not None:  # as the store would give it back after a restart
            self.record = pins.from_value(step.pin.to_value())
        if step.account is not None:
            self.account = step.account
        return step


def code(step: Step) -> int:
    assert isinstance(step.outcome, Refused)
    return step.outcome.code


def wrong(pin: str) -> str:
    return f"{(int(pin) + 1) % 10**6:06}"


def test_the_first_registration() -> None:
    phone = Phone()
    step = phone.ask()
    assert step.outcome == PinSent(USER, retry_ms=60_000, valid_ms=600_000)
    assert step.deliver
    step = phone.register(phone.sent[-1])
    assert step.outcome == Registered(USER, 1, replaced=False, old_stream=None)
    assert step.replaced is None
    assert not step.after_wipe
    assert phone.account == Account(b"\1" * 32, b"\1" * 8, generation=1, since=START)


def test_a_new_device_replaces_the_old_one() -> None:
    phone = Phone()
    phone.ask()
    phone.register(phone.sent[-1])
    phone.now += 60_000
    phone.ask()
    step = phone.register(phone.sent[-1], device=2)
    assert step.outcome == Registered(USER, 2, replaced=True, old_stream=b"\1" * 8)
    assert step.replaced == Replaced(USER, (b"\1" * 8,), 2)
    assert step.after_wipe
    assert phone.account is not None
    assert phone.account.wiping == (b"\1" * 8,), "until mail says it is done, across crashes"
    assert registration.wiped(phone.account, 1) is None
    assert registration.wiped(phone.account, 2) == attrs.evolve(phone.account, wiping=())


def test_a_wipe_that_is_not_done_when_the_next_device_comes_is_told_again() -> None:
    phone = Phone()
    for device in (1, 2, 3):
        phone.ask()
        step = phone.register(phone.sent[-1], device)
        phone.now += DAY_MS
    assert step.replaced == Replaced(USER, (b"\1" * 8, b"\2" * 8), 3)
    assert registration.wiped(phone.account, 2) is None, (
        "the report of the earlier wipe doesn't cover device 2"
    )


def test_a_stream_must_be_fresh_and_asking_so_costs_no_pin() -> None:
    phone = Phone()
    phone.ask()
    phone.register(phone.sent[-1])
    phone.now += DAY_MS
    phone.ask()
    assert code(phone.register(phone.sent[-1], device=1)) == errors.STREAM_REUSED
    assert isinstance(phone.register(phone.sent[-1], device=2).outcome, Registered)


def test_a_pin_is_used_once() -> None:
    phone = Phone()
    phone.ask()
    phone.register(phone.sent[-1])
    before = phone.account
    assert code(phone.register(phone.sent[-1], device=2)) == errors.PIN_REFUSED
    assert phone.account == before


def test_a_phone_that_missed_the_answer_gets_it_again() -> None:
    phone = Phone()
    phone.ask()
    first = phone.register(phone.sent[-1])
    again = phone.register(phone.sent[-1])
    assert again.outcome == first.outcome
    assert again.account is None
    assert again.pin is None, "nothing changed"


def test_the_missed_answer_of_a_replacement_waits_for_the_wipe_too() -> None:
    phone = Phone()
    for device in (1, 2):
        phone.ask()
        first = phone.register(phone.sent[-1], device)
        phone.now += 60_000
    again = phone.register(phone.sent[-1], device=2)
    assert again.outcome == first.outcome
    assert again.after_wipe


def test_an_expired_pin_is_refused() -> None:
    phone = Phone()
    phone.ask()
    phone.now += RULES.valid_ms
    assert code(phone.register(phone.sent[-1])) == errors.PIN_REFUSED
    phone.now -= 1
    assert isinstance(phone.register(phone.sent[-1]).outcome, Registered)


def test_only_the_last_pin_counts() -> None:
    phone = Phone()
    phone.ask()
    phone.now += 60_000
    phone.ask()
    assert phone.sent[0] != phone.sent[1]
    assert code(phone.register(phone.sent[0])) == errors.PIN_REFUSED
    assert isinstance(phone.register(phone.sent[1]).outcome, Registered)


def test_the_right_pin_after_too_many_wrong_ones_is_refused() -> None:
    phone = Phone()
    phone.ask()
    for _ in range(RULES.attempts_max):
        assert code(phone.register(wrong(phone.sent[-1]))) == errors.PIN_REFUSED
    phone.now += 10_000
    step = phone.register(phone.sent[-1])
    assert step.outcome == Refused(errors.PIN_LIMIT, step.outcome.text, 50_000)  # type: ignore[union-attr]
    phone.now += 50_000
    assert code(phone.register(phone.sent[-1])) == errors.PIN_REFUSED, "another one may be asked for now"
    phone.ask()
    assert isinstance(phone.register(phone.sent[-1]).outcome, Registered)


@given(st.lists(st.sampled_from([0, 1, 20_000, 59_999, 60_000, 600_000, DAY_MS]), max_size=20), st.booleans())
def test_guesses_at_a_number_without_a_pin_are_answered_as_if_it_had_one(
    passing: list[int], used: bool
) -> None:
    """Whether it has one, a used one, or none: who began at the same time gets the same answers."""
    with_it, without = Phone(), Phone(account=Account(b"k" * 32, b"s" * 8, 3, START))
    without.now += 30_000
    without.register("123456")
    asked = without.stand_ins.guessed(USER, without.now).requests[0]
    assert 0 <= without.now - asked < RULES.wait_ms
    with_it.now = asked
    with_it.ask()
    if used:
        with_it.register(with_it.sent[-1])
    with_it.now = without.now
    with_it.register("no PIN")
    with_it.register("no PIN")
    for passed in passing:
        with_it.now += passed
        without.now += passed
        if with_it.record is not None and pins.is_spent(with_it.record, with_it.now):
            return  # both begin anew, the one without at another time
        assert with_it.register("no PIN").outcome == without.register("no PIN").outcome


@pytest.mark.parametrize("right", [False, True])
def test_a_used_pin_is_guessed_at_as_one_that_is_not(right: bool) -> None:
    """Also with the right digits: they register no other device, and are told nothing else."""
    phone = Phone()
    phone.ask()
    phone.register(phone.sent[-1], device=1)
    guess = phone.sent[-1] if right else wrong(phone.sent[-1])
    for _ in range(RULES.attempts_max):
        assert code(phone.register(guess, device=2)) == errors.PIN_REFUSED
    assert code(phone.register(guess, device=2)) == errors.PIN_LIMIT


def test_a_guess_without_a_pin_leaves_nothing_in_the_store() -> None:
    phone = Phone()
    assert code(phone.register("123456")) == errors.PIN_REFUSED
    assert phone.record is None


def test_the_wait_between_pins_grows_and_a_day_has_a_cap() -> None:
    phone = Phone()
    waits = []
    for _ in range(RULES.requests_per_day):
        outcome = phone.ask().outcome
        assert isinstance(outcome, PinSent)
        waits.append(outcome.retry_ms)
        phone.now += outcome.retry_ms
    assert waits[:4] == [60_000, 120_000, 240_000, 480_000]
    assert waits[4] == DAY_MS - sum(waits[:4])


def test_whoever_asks_too_early_is_told_exactly_how_long_to_wait() -> None:
    phone = Phone()
    phone.ask()
    phone.now += 10_000
    step = phone.ask()
    assert step.outcome == Refused(errors.PIN_LIMIT, step.outcome.text, 50_000)  # type: ignore[union-attr]
    assert not step.deliver
    assert step.pin is None
    phone.now += 50_000
    assert isinstance(phone.ask().outcome, PinSent)


def test_a_blocked_number_is_told_so_only_with_the_right_pin() -> None:
    phone = Phone()
    phone.ask()
    phone.register(phone.sent[-1])
    assert phone.account is not None
    phone.account = phone.account.with_block(True)
    phone.now += DAY_MS
    assert isinstance(phone.ask().outcome, PinSent)
    assert code(phone.register(wrong(phone.sent[-1]), device=2)) == errors.PIN_REFUSED
    assert code(phone.register(phone.sent[-1], device=2)) == errors.BLOCKED
    assert phone.account.generation == 1


def test_devices_are_not_replaced_faster_than_mail_is_wiped_for_ever() -> None:
    phone = Phone()
    refused = None
    for device in range(WIPES_MAX + 2):
        phone.ask()
        refused = phone.register(phone.sent[-1], device)
        phone.now += DAY_MS
    assert refused is not None
    assert code(refused) == errors.OVERLOADED
    assert phone.account is not None
    assert len(phone.account.wiping) == WIPES_MAX


@given(st.integers(0, DAY_MS * 3650))
def test_a_clock_set_back_neither_blocks_a_number_for_longer_nor_gives_it_more(back: int) -> None:
    phone = Phone()
    for _ in range(RULES.requests_per_day):
        outcome = phone.ask().outcome
        assert isinstance(outcome, PinSent)
        phone.now += outcome.retry_ms
    phone.now -= outcome.retry_ms + back
    step = phone.ask()
    assert isinstance(step.outcome, Refused)
    phone.now += step.outcome.retry_ms
    assert step.outcome.retry_ms <= DAY_MS
    assert isinstance(phone.ask().outcome, PinSent)


def test_asking_for_a_pin_does_not_depend_on_the_account() -> None:
    known, unknown = Phone(account=Account(b"k" * 32, b"s" * 8, 3, START)), Phone()
    assert known.ask() == unknown.ask()
    assert known.ask() == unknown.ask()


@given(st.text("0123456789", min_size=4, max_size=12), st.booleans())
def test_a_wrong_pin_gets_one_answer_whether_or_not_the_number_is_registered(pin: str, asked: bool) -> None:
    account = Account(b"k" * 32, b"s" * 8, 3, START, block_changes=1)
    with_it, without = Phone(account=account), Phone()
    if asked:
        with_it.ask()
        without.ask()
        assume(pin != with_it.sent[-1])
    assert with_it.register(pin) == without.register(pin)


@given(
    st.binary(min_size=8, max_size=8),
    st.integers(1, 10**15 - 1),
    st.text("0123456789", min_size=4, max_size=12),
)
def test_nothing_that_is_stored_or_shown_contains_the_pin(salt: bytes, user: int, pin: str) -> None:
    event = AskPin(user, START, pin, salt)
    step = ask_pin(None, event, SECRET, RULES)
    assert step.pin is not None
    assert pin.encode() not in step.pin.digest
    assert "pin=" not in repr(event)
    assert "digest" not in repr(step)
    other_node = pins.pin_digest(b"t" * 32, user, salt, pin)
    other_number = pins.pin_digest(SECRET, user + 1, salt, pin)
    assert len({step.pin.digest, other_node, other_number}) == 3


class Attack(RuleBasedStateMachine):
    """Anybody does anything in any order, with restarts; a counter apart checks what the limits promise."""

    def __init__(self) -> None:
        super().__init__()
        self.rules = PinRules(
            valid_ms=600_000,
            attempts_max=3,
            requests_per_day=3,
            wait_ms=1_000,
            wait_factor=3.0,
            wait_ms_max=7_200_000,
        )
        self.phone = Phone(rules=self.rules)
        self.asked_at: list[int] = []
        self.guessed_at: list[int] = []
        self.registered_with: list[int] = []
        self.device = 0

    @rule(passed=st.sampled_from([0, 1, 999, 1_000, 3_000, 9_000, 600_000, 7_200_000, DAY_MS - 1, DAY_MS]))
    def time_passes(self, passed: int) -> None:
        self.phone.now += passed

    @rule()
    def somebody_asks(self) -> None:
        step = self.phone.ask()
        if step.deliver:
            assert isinstance(step.outcome, PinSent)
            if self.asked_at:
                assert self.phone.now - self.asked_at[-1] >= self.rules.wait_ms
            self.asked_at.append(self.phone.now)
        else:
            assert isinstance(step.outcome, Refused)
            assert 0 < step.outcome.retry_ms <= DAY_MS

    @rule()
    def somebody_guesses_wrong(self) -> None:
        self._guess(wrong(self.phone.sent[-1]) if self.phone.sent else "000000")

    @rule(which=st.integers(2, 4))
    def a_former_pin_is_tried(self, which: int) -> None:
        if len(self.phone.sent) >= which and self.phone.sent[-which] != self.phone.sent[-1]:
            self._guess(self.phone.sent[-which])

    def _guess(self, pin: str) -> None:
        if self._right_pin_would_do():
            self.guessed_at.append(self.phone.now)
        assert code(self.phone.register(pin, self._next_device())) in (errors.PIN_REFUSED, errors.PIN_LIMIT)

    def _right_pin_would_do(self) -> bool:
        """Tried on a copy: only then is a guess worth anything to whoever makes it."""
        if not self.phone.sent:
            return False
        copy = Phone(self.phone.account, self.phone.record, self.phone.now, self.rules)
        return isinstance(copy.register(self.phone.sent[-1], device=255).outcome, Registered)

    @rule()
    def the_pin_is_used(self) -> None:
        if not self.phone.sent:
            return
        number = len(self.phone.sent) - 1
        step = self.phone.register(self.phone.sent[-1], self._next_device())
        if isinstance(step.outcome, Registered):
            assert number not in self.registered_with, "a PIN is used once"
            assert self.phone.now - self.asked_at[number] < self.rules.valid_ms
            self.registered_with.append(number)
            assert step.outcome.generation == len(self.registered_with)

    @rule()
    def mail_is_wiped(self) -> None:
        account = self.phone.account
        if account is not None:
            self.phone.account = registration.wiped(account, account.generation) or account

    def _next_device(self) -> int:
        self.device = self.device % 250 + 1
        return self.device

    @invariant()
    def no_day_has_more_pins_than_allowed(self) -> None:
        for at in self.asked_at:
            assert sum(at <= other < at + DAY_MS for other in self.asked_at) <= self.rules.requests_per_day

    @invariant()
    def no_day_has_more_guesses_than_its_pins_and_one_more_allow(self) -> None:
        most = (self.rules.requests_per_day + 1) * self.rules.attempts_max
        for at in self.guessed_at:
            assert sum(at <= other < at + DAY_MS for other in self.guessed_at) <= most


TestAttack = Attack.TestCase
TestAttack.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
