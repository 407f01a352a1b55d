"""The service on a real store: what it answers, what it keeps across restarts, what it asks of others."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Literal

import attrs
import pytest
import trio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from trio.testing import MockClock, wait_all_tasks_blocked

from node.accounts.gateway import Delivery
from node.accounts.keys import is_device_key
from node.accounts.outcomes import LoggedIn, Outcome, PinSent, Refused, Registered, Replaced
from node.accounts.printing import PrintingGateway
from node.accounts.records import WIPES_MAX, Account
from node.accounts.retiring import WipesUnfinished, is_retired, retire
from node.accounts.service import Accounts
from node.accounts.settings import AccountsSettings
from node.accounts.tables import GROUP
from node.wire import errors
from node.wire.login import login_message
from store.limits import StoreSettings
from store.store import Store

ALICE, BOB = 15551230001, 15551230002
HOME = "192.0.2.1"
NONCE, CERTIFICATE = b"n" * 32, b"c" * 32
DAY_MS = 86_400_000


class Output:
    """Where the printing gateway prints: the PINs by number."""

    def __init__(self) -> None:
        self.pins: dict[int, list[str]] = {}
        self.printed = trio.Event()

    def write(self, text: str) -> int:
        if text.startswith("PIN +"):
            _, number, pin, *_ = text.split()
            self.pins.setdefault(int(number), []).append(pin)
            self.printed.set()
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""


@attrs.frozen
class Device:
    secret: Ed25519PrivateKey
    stream: bytes

    @property
    def key(self) -> bytes:
        return self.secret.public_key().public_bytes_raw()


def device(number: int) -> Device:
    return Device(Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32), bytes([number]) * 8)


class House:
    """A node's accounts with all around them: what mail is told is written down, and done only when asked."""

    def __init__(self, path: Path, clock: Any, settings: AccountsSettings | None = None) -> None:
        self.path = path
        self.clock = clock
        self.settings = settings or AccountsSettings()
        self.output = Output()
        self.replaced: list[Replaced] = []
        self.store_settings = StoreSettings(map_bytes=64 * 1024 * 1024, linger_ms=0)
        self.committer: Literal["thread", "inline"] = "inline"
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.path, [GROUP], committer=self.committer, settings=self.store_settings)
        self.accounts = Accounts(
            self.settings,
            self.store.group("account"),
            lambda user: user % 1024,
            PrintingGateway(self.output),  # type: ignore[arg-type]
            secret=b"s" * 32,
            clock=self.clock,
            random=Random(7),
            on_replaced=self.replaced.append,
        )

    def restart(self) -> None:
        self.store.close()
        self.replaced.clear()
        self.open()

    def settle(self) -> None:
        while self.store.deliver_results():
            pass

    def ask(self, user: int = ALICE, address: str = HOME) -> Outcome:
        return self.answer_to(lambda done: self.accounts.request_pin(user, address, done))

    def register(self, pin: str, device: Device, user: int = ALICE, address: str = HOME) -> Outcome:
        return self.answer_to(
            lambda done: self.accounts.register(user, pin, device.key, device.stream, address, done)
        )

    def login(self, device: Device, user: int = ALICE, address: str = HOME) -> Outcome:
        signature = device.secret.sign(login_message(user, NONCE, CERTIFICATE))
        return self.answer_to(
            lambda done: self.accounts.login(user, NONCE, CERTIFICATE, signature, address, done)
        )

    def answer_to(self, start: Callable[[Callable[[Outcome], None]], None]) -> Outcome:
        answers: list[Outcome] = []
        start(answers.append)
        self.settle()
        (answer,) = answers
        return answer

    async def deliver(self) -> None:
        """Let the courier hand over what waits."""
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.accounts.courier.run)
                await wait_all_tasks_blocked()
                scope.cancel()

    async def pin(self, user: int = ALICE) -> str:
        assert isinstance(self.ask(user), PinSent)
        await self.deliver()
        return self.output.pins[user][-1]

    async def enroll(self, device: Device, user: int = ALICE) -> Outcome:
        return self.register(await self.pin(user), device, user)


@attrs.frozen
class SlowGroup:
    """A group whose reads take as long as `fetch` lets them."""

    group: Any
    fetch: Callable[[Any], Any]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.group, name)


@pytest.fixture
def house(tmp_path: Path, clock: Any) -> Iterator[House]:
    house = House(tmp_path / "store", clock)
    yield house
    house.store.close()


def code(outcome: Outcome) -> int:
    assert isinstance(outcome, Refused), outcome
    return outcome.code


# ---- one phone ------------------------------------------------------------------------------------------


async def test_a_phone_asks_registers_and_logs_in(house: House) -> None:
    assert house.ask() == PinSent(ALICE, 60_000, 600_000)
    await house.deliver()
    (pin,) = house.output.pins[ALICE]
    assert len(pin) == 6
    assert pin.isdigit()
    phone = device(1)
    assert house.register(pin, phone) == Registered(ALICE, 1, False, None)
    assert house.login(phone) == LoggedIn(ALICE, phone.stream, 1)
    assert code(house.login(device(2))) == errors.UNAUTHORISED
    assert house.accounts.may_be_registered(ALICE)
    assert not house.accounts.may_be_registered(BOB)


async def test_what_is_registered_survives_a_restart(house: House) -> None:
    await house.enroll(device(1))
    house.restart()
    assert house.login(device(1)) == LoggedIn(ALICE, device(1).stream, 1)


async def test_the_limits_of_a_number_survive_a_restart(house: House) -> None:
    pin = await house.pin()
    for _ in range(3):
        assert code(house.register(f"{int(pin) ^ 1:06}", device(1))) == errors.PIN_REFUSED
    house.restart()
    assert house.ask() == Refused(errors.PIN_LIMIT, house.ask().text, 60_000)  # type: ignore[union-attr]
    for _ in range(2):
        assert code(house.register(f"{int(pin) ^ 1:06}", device(1))) == errors.PIN_REFUSED
    refused = house.register(pin, device(1))
    assert refused == Refused(errors.PIN_LIMIT, refused.text, 60_000), "three and two guesses were five"  # type: ignore[union-attr]


async def test_guesses_at_a_number_that_asked_for_no_pin_are_limited_as_any_others(house: House) -> None:
    for _ in range(house.settings.pin_attempts_max):
        assert code(house.register("123456", device(1), BOB)) == errors.PIN_REFUSED
    refused = house.register("123456", device(1), BOB)
    assert isinstance(refused, Refused)
    assert refused.code == errors.PIN_LIMIT
    assert 0 < refused.retry_ms <= 60_000
    assert isinstance(house.ask(BOB), PinSent), "the number itself is held up by nothing"
    assert isinstance(await house.enroll(device(1), ALICE), Registered)


async def test_a_wipe_that_ends_while_unfinished_ones_are_read_is_not_among_them(house: House) -> None:
    """The read may be older than what was reported: what came for the new device must not be wiped."""
    await house.enroll(device(1))
    await replace(house, 2)
    house.restart()
    fetch = house.accounts._group.fetch

    async def ended_meanwhile(fn: Any) -> Any:
        found = await fetch(fn)
        house.accounts.wiped(ALICE, 2)
        house.settle()
        return found

    house.accounts._group = SlowGroup(house.accounts._group, ended_meanwhile)  # type: ignore[assignment]
    assert await house.accounts.unfinished_wipes() == []


async def test_when_accounts_have_outgrown_memory_nobody_is_called_unknown(house: House) -> None:
    assert not house.accounts.may_be_registered(BOB)
    house.store.close()
    house.committer = "thread"
    house.store_settings = attrs.evolve(house.store_settings, warm_bytes=1)
    house.open()
    assert not house.store.group("account").warm
    assert house.accounts.may_be_registered(BOB)


async def test_a_pin_under_way_survives_a_restart(house: House) -> None:
    pin = await house.pin()
    house.restart()
    assert isinstance(house.register(pin, device(1)), Registered)


async def test_guesses_at_the_same_instant_do_not_get_past_the_limit(house: House) -> None:
    pin = await house.pin()
    answers: list[Outcome] = []
    for guess in range(house.settings.pin_attempts_max):
        house.accounts.register(
            ALICE, f"{(int(pin) + 1 + guess) % 10**6:06}", device(1).key, b"s" * 8, HOME, answers.append
        )
    house.accounts.register(ALICE, pin, device(1).key, b"s" * 8, HOME, answers.append)
    assert answers == [], "all of them are on their way"
    house.settle()
    assert [code(answer) for answer in answers] == [errors.PIN_REFUSED] * 5 + [errors.PIN_LIMIT]


async def test_two_devices_with_one_pin_at_the_same_instant_are_one_registration(house: House) -> None:
    pin = await house.pin()
    answers: list[Outcome] = []
    for each in (device(1), device(2)):
        house.accounts.register(ALICE, pin, each.key, each.stream, HOME, answers.append)
    house.settle()
    assert isinstance(answers[0], Registered)
    assert code(answers[1]) == errors.PIN_REFUSED
    assert isinstance(house.login(device(1)), LoggedIn)


def test_what_cannot_be_registered_is_refused_before_anything_is_written(house: House) -> None:
    assert code(house.ask(user=12)) == errors.BAD_NUMBER
    assert code(house.register("123456", device(1), user=12)) == errors.BAD_NUMBER
    low_order = Device(device(1).secret, b"s" * 8)
    answers: list[Outcome] = []
    house.accounts.register(ALICE, "123456", bytes(32), low_order.stream, HOME, answers.append)
    assert code(answers[0]) == errors.MALFORMED
    assert house.store.group("account").sequence == 0


def test_a_closed_registration_says_so(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(open=False))
    assert code(house.ask()) == errors.REGISTRATION_CLOSED
    assert code(house.register("123456", device(1))) == errors.REGISTRATION_CLOSED
    house.store.close()


# ---- a new device ---------------------------------------------------------------------------------------


async def replace(house: House, number: int, user: int = ALICE) -> list[Outcome]:
    """The next device asks and registers; the answers so far."""
    house.clock.now += DAY_MS
    pin = await house.pin(user)
    answers: list[Outcome] = []
    house.accounts.register(user, pin, device(number).key, device(number).stream, HOME, answers.append)
    house.settle()
    return answers


async def test_the_new_device_comes_only_after_the_old_mail_is_gone(house: House) -> None:
    await house.enroll(device(1))
    answers = await replace(house, 2)
    assert house.replaced == [Replaced(ALICE, (device(1).stream,), 2)]
    assert answers == [], "mail has not reported yet"
    assert code(house.login(device(1))) == errors.UNAUTHORISED, "the old key is dead at once"
    assert code(house.login(device(2))) == errors.OVERLOADED
    house.accounts.wiped(ALICE, 2)
    assert answers == [], "it is not durable yet"
    house.settle()
    assert answers == [Registered(ALICE, 2, True, device(1).stream)]
    assert isinstance(house.login(device(2)), LoggedIn)
    assert await house.accounts.unfinished_wipes() == []


async def test_a_wipe_reported_at_once_answers_too(house: House) -> None:
    await house.enroll(device(1))
    house.accounts._tell_replaced = lambda replaced: house.accounts.wiped(replaced.user, replaced.generation)
    assert await replace(house, 2) == [Registered(ALICE, 2, True, device(1).stream)]


async def test_a_crash_before_the_wipe_is_done_leaves_it_to_be_done(house: House) -> None:
    await house.enroll(device(1))
    await replace(house, 2)
    house.restart()
    assert await house.accounts.unfinished_wipes() == [Replaced(ALICE, (device(1).stream,), 2)]
    assert code(house.login(device(2))) == errors.OVERLOADED
    house.accounts.wiped(ALICE, 2)
    assert await house.accounts.unfinished_wipes() == [], (
        "mail that came since would be expired by another wipe"
    )
    house.settle()
    assert await house.accounts.unfinished_wipes() == []
    assert isinstance(house.login(device(2)), LoggedIn)
    house.restart()
    assert await house.accounts.unfinished_wipes() == []


async def test_a_third_device_overtakes_the_wipe_for_the_second(house: House) -> None:
    await house.enroll(device(1))
    second = await replace(house, 2)
    third = await replace(house, 3)
    assert house.replaced[-1] == Replaced(ALICE, (device(1).stream, device(2).stream), 3)
    assert [code(answer) for answer in second] == [errors.SUPERSEDED]
    house.accounts.wiped(ALICE, 2)
    house.settle()
    assert third == []
    assert code(house.login(device(3))) == errors.OVERLOADED
    house.accounts.wiped(ALICE, 3)
    house.settle()
    assert third == [Registered(ALICE, 3, True, device(2).stream)]
    assert isinstance(house.login(device(3)), LoggedIn)


async def test_a_wipe_that_the_store_has_no_room_for_is_written_later(
    house: House, autojump_clock: MockClock
) -> None:
    await house.enroll(device(1))
    answers = await replace(house, 2)
    house.store.close()
    house.store_settings = attrs.evolve(house.store_settings, queue_rows=1)
    house.open()
    waiting: list[Outcome] = []
    house.accounts.request_pin(BOB, HOME, waiting.append)
    house.accounts.wiped(ALICE, 2)
    assert house.accounts.statistics()["registration"]["wipes_unwritten"] == 1, "the store is busy"
    house.accounts.request_pin(BOB + 1, HOME, waiting.append)
    assert code(waiting[0]) == errors.OVERLOADED
    house.settle()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deliver_results, house)
        await house.accounts.step()
        house.settle()
        nursery.cancel_scope.cancel()
    assert house.accounts.statistics()["registration"]["wipes_unwritten"] == 0
    assert isinstance(house.login(device(2)), LoggedIn)
    assert answers == [], "that connection was gone with the restart"


async def test_too_many_waiting_answers_are_given_at_once_and_their_login_waits(
    tmp_path: Path, clock: Any
) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(wipes_waiting_max=1))
    for user in (ALICE, BOB):
        await house.enroll(device(1), user)
    assert await replace(house, 2, ALICE) == []
    assert await replace(house, 2, BOB) == [Registered(BOB, 2, True, device(1).stream)]
    assert code(house.login(device(2), BOB)) == errors.OVERLOADED
    house.store.close()


async def test_a_node_killed_between_registration_and_wipe_resumes_it(tmp_path: Path, clock: Any) -> None:
    """A real process, with the committer's thread, that is killed when mail would be told."""
    script = tmp_path / "node_that_dies.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_accounts_service as it\n"
        "it.die_when_mail_is_told(it.Path(sys.argv[1]))\n"
    )
    died = await trio.run_process([sys.executable, str(script), str(tmp_path / "store")], check=False)
    assert died.returncode == -signal.SIGKILL
    house = House(tmp_path / "store", clock)
    assert await house.accounts.unfinished_wipes() == [Replaced(ALICE, (device(1).stream,), 2)]
    house.store.close()


def die_when_mail_is_told(path: Path) -> None:
    """Runs in the process that is killed."""

    class Now:
        now = 1_800_000_000_000

        def __call__(self) -> int:
            return self.now

    async def live() -> None:
        house = House(path, Now())
        house.store.close()
        house.committer = "thread"
        house.open()
        house.accounts._tell_replaced = lambda _: os.kill(os.getpid(), signal.SIGKILL)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(house.store.run)
            nursery.start_soon(house.accounts.run)
            for number in (1, 2):
                asked = trio.Event()
                house.accounts.request_pin(ALICE, HOME, lambda _: asked.set())  # noqa: B023
                await asked.wait()
                await house.output.printed.wait()
                house.output.printed = trio.Event()
                phone, registered = device(number), trio.Event()
                house.accounts.register(
                    ALICE,
                    house.output.pins[ALICE][-1],
                    phone.key,
                    phone.stream,
                    HOME,
                    lambda _: registered.set(),  # noqa: B023
                )
                await registered.wait()
                house.clock.now += DAY_MS

    trio.run(live)


# ---- what the operator and the disk do ------------------------------------------------------------------


async def test_a_blocked_number_neither_logs_in_nor_registers(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path / "store", clock)
    await house.enroll(device(1))
    house.store.close()
    house.committer = "thread"
    house.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.store.run)
        account = await house.accounts.set_blocked(ALICE, True)
        assert account is not None
        assert account.blocked
        assert await house.accounts.set_blocked(BOB, True) is None
        assert code(house.login(device(1))) == errors.BLOCKED
        assert code(house.login(device(2))) == errors.UNAUTHORISED
        await house.accounts.set_blocked(ALICE, False)
        assert isinstance(house.login(device(1)), LoggedIn)
        nursery.cancel_scope.cancel()
    house.store.close()


async def test_a_retired_number_is_nobodys_until_it_is_registered_anew(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path / "store", clock)
    await house.enroll(device(1))
    house.store.close()
    house.committer = "thread"
    house.open()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.store.run)
        assert await house.accounts.retire(BOB) is None
        replaced = await house.accounts.retire(ALICE)
        assert replaced == Replaced(ALICE, (device(1).stream,), 2)
        assert await house.accounts.retire(ALICE) == replaced, "it is done once, and may be said again"
        account = house.accounts.account(ALICE)
        assert account is not None
        assert is_retired(account)
        assert is_device_key(account.key), "it is a key like any other; only nobody has it"
        assert [one.user for one in await house.accounts.unfinished_wipes()] == [ALICE]
        house.accounts.wiped(ALICE, 2)
        nursery.cancel_scope.cancel()
    house.store.close()
    house.committer = "inline"
    house.open()
    assert code(house.login(device(1))) == errors.UNAUTHORISED
    house.clock.now += DAY_MS
    pin = await house.pin()
    house.accounts.register(ALICE, pin, device(2).key, device(2).stream, HOME, lambda _: None)
    house.settle()
    assert house.replaced[-1].generation == 3
    house.store.close()


def test_a_number_with_too_many_unfinished_wipes_is_not_retired() -> None:
    account = Account(b"k" * 32, b"s" * 8, 100, 0, tuple(bytes([n]) * 8 for n in range(1, WIPES_MAX + 1)))
    with pytest.raises(WipesUnfinished):
        retire(account, b"n" * 32, 5)


def test_a_store_that_takes_nothing_costs_nobody_a_pin(house: House) -> None:
    house.store.close()
    answers: list[Outcome] = []
    house.accounts.request_pin(ALICE, HOME, answers.append)
    house.accounts.register(ALICE, "123456", device(1).key, b"s" * 8, HOME, answers.append)
    assert [code(answer) for answer in answers] == [errors.SHUTTING_DOWN] * 2
    assert house.accounts.statistics()["courier"]["waiting"] == 0
    assert house.accounts.statistics()["registration"]["address_guesses"]["keys"] == 0
    house.open()
    assert isinstance(house.ask(), PinSent)


async def test_a_full_courier_is_said_before_anything_is_counted(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(deliveries_waiting_max=1))
    assert isinstance(house.ask(ALICE), PinSent)
    refused = house.ask(BOB)
    assert code(refused) == errors.OVERLOADED
    assert refused.retry_ms > 0  # type: ignore[union-attr]
    await house.deliver()
    assert isinstance(house.ask(BOB), PinSent)
    house.store.close()


def test_requests_that_wait_for_the_store_are_bounded(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(requests_waiting_max=2))
    answers: list[Outcome] = []
    for user in (ALICE, BOB, BOB + 1):
        house.accounts.request_pin(user, HOME, answers.append)
    assert [code(answer) for answer in answers] == [errors.OVERLOADED]
    house.settle()
    assert len(answers) == 3
    assert house.accounts.statistics()["registration"]["in_store"] == 0
    house.store.close()


async def test_pin_records_are_swept_once_they_limit_nothing(
    tmp_path: Path, clock: Any, autojump_clock: MockClock
) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(sweep_records=2))
    for user in range(ALICE, ALICE + 5):
        house.ask(user)
    pins = house.store.group("account").table("pin")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(deliver_results, house)
        await house.accounts.step()
        assert pins.count() == 5
        clock.now += DAY_MS - 1
        house.ask(ALICE)
        clock.now += 1
        for _ in range(6):
            await house.accounts.step()
        assert pins.count() == 1
        assert house.accounts.statistics()["pins_swept"] == 4
        nursery.cancel_scope.cancel()
    house.store.close()


async def deliver_results(house: House) -> None:
    """`store.run` for a clock that jumps: it doesn't wait for a descriptor."""
    while True:
        house.settle()
        await trio.sleep(0.001)


# ---- limits in memory -----------------------------------------------------------------------------------


def test_one_address_asks_for_a_limited_number_of_pins(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(address_pins_burst=3))
    for user in range(ALICE, ALICE + 3):
        assert isinstance(house.ask(user), PinSent)
    refused = house.ask(ALICE + 3)
    assert refused == Refused(errors.PIN_LIMIT, refused.text, 60_000)  # type: ignore[union-attr]
    assert isinstance(house.ask(ALICE + 3, address="192.0.2.2"), PinSent)
    clock.now += 60_000
    assert isinstance(house.ask(ALICE + 4), PinSent)
    house.store.close()


async def test_one_address_makes_a_limited_number_of_guesses_and_right_ones_do_not_count(
    tmp_path: Path, clock: Any
) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(address_guesses_burst=3))
    for user in range(ALICE, ALICE + 10):
        assert isinstance(await house.enroll(device(1), user), Registered)
    for user in range(ALICE, ALICE + 3):
        assert code(house.register("000000", device(2), user)) == errors.PIN_REFUSED
    refused = house.register("000000", device(2), ALICE + 3)
    assert code(refused) == errors.PIN_LIMIT
    assert code(house.register("000000", device(2), ALICE + 3, address="192.0.2.2")) == errors.PIN_REFUSED
    house.store.close()


async def test_an_address_whose_logins_fail_has_to_wait(house: House) -> None:
    await house.enroll(device(1))
    for user in range(BOB, BOB + house.settings.address_logins_burst):
        assert code(house.login(device(1), user)) == errors.UNAUTHORISED
    refused = house.login(device(1), ALICE)
    assert refused == Refused(errors.RATE_LIMITED, "too many logins have failed", 5_000)
    house.clock.now += 5_000
    assert isinstance(house.login(device(1), ALICE), LoggedIn)


async def test_nobody_is_locked_out_by_failures_in_his_name(house: House) -> None:
    await house.enroll(device(1))
    attackers = [f"198.51.100.{number}" for number in range(5)]
    answers = [code(house.login(device(2), ALICE, address)) for address in attackers for _ in range(5)]
    assert answers.count(errors.UNAUTHORISED) < len(answers)
    assert answers.count(errors.RATE_LIMITED) > 0, "the number's limit holds the attackers up"
    assert isinstance(house.login(device(1), ALICE, HOME), LoggedIn)


async def test_logins_that_succeed_are_not_limited(house: House) -> None:
    await house.enroll(device(1))
    for _ in range(100):
        assert isinstance(house.login(device(1)), LoggedIn)


async def test_statistics_name_what_waits_and_what_was_answered(house: House) -> None:
    await house.enroll(device(1))
    house.ask()
    statistics = house.accounts.statistics()
    assert statistics["answers"] == {"pin_done": 1, "register_done": 1, "pin_pin_limit": 1}
    assert statistics["courier"]["delivered"] == 1
    assert statistics["courier"]["waiting_max"] == 256


def test_a_delivery_carries_the_text_that_the_operator_chose(tmp_path: Path, clock: Any) -> None:
    house = House(tmp_path / "store", clock, AccountsSettings(message="{pin} is your code"))
    posted: list[Delivery] = []
    house.accounts.courier.post = posted.append  # type: ignore[method-assign]
    house.ask()
    assert posted[0].text == f"{posted[0].pin} is your code"
    house.store.close()
