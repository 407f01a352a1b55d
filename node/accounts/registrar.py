"""Driving registration: limits in memory, the machine inside a store transaction, then what its step asks for.

The order is the machine's contract: the records are durable first; then mail learns of a replaced device, the PIN
goes to the courier, the phone is answered. Everything here runs on the loop but the functions named
`…_in`, which the store runs on its own thread and perhaps twice: they touch only their arguments.
"""

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import structlog

from node.accounts import pins, records, registration
from node.accounts.budgets import Budgets
from node.accounts.courier import Courier
from node.accounts.gateway import Delivery
from node.accounts.keeping import Keeping
from node.accounts.keys import is_device_key
from node.accounts.numbers import is_number
from node.accounts.outcomes import Outcome, Refused, Registered, Replaced
from node.accounts.pins import PinRules
from node.accounts.refusals import cause_of, refusal_for
from node.accounts.registration import AskPin, RegisterDevice, Step
from node.accounts.settings import AccountsSettings
from node.accounts.standins import StandIns
from node.accounts.tables import ACCOUNT, PIN
from node.accounts.wipes import WaitingAnswers
from node.wire import errors
from store.errors import StoreError
from store.results import Result
from store.transaction import Transaction

Done = Callable[[Outcome], None]
_log = structlog.get_logger(__name__)


class Registrar:
    """PIN requests, registrations, and the ends of wipes. See `service.Accounts` for the arguments."""

    def __init__(
        self,
        settings: AccountsSettings,
        keeping: Keeping,
        partition_of: Callable[[int], int],
        courier: Courier,
        *,
        secret: bytes,
        clock: Callable[[], int],
        random: Random,
        on_replaced: Callable[[Replaced], None],
    ) -> None:
        self._settings = settings
        self._rules = settings.pin_rules()
        self._keeping = keeping
        self._partition_of = partition_of
        self._courier = courier
        self._secret = secret
        self._clock = clock
        self._random = random
        self._on_replaced = on_replaced
        self._address_pins = Budgets(
            burst=settings.address_pins_burst,
            every_ms=settings.address_pins_every_s * 1000,
            keys_max=settings.budgets_max,
        )
        self._address_guesses = Budgets(
            burst=settings.address_guesses_burst,
            every_ms=settings.address_guesses_every_s * 1000,
            keys_max=settings.budgets_max,
        )
        self._stand_ins = StandIns(self._rules, settings.budgets_max, random)
        self._answers = WaitingAnswers(settings.wipes_waiting_max)
        self._in_store = 0
        self._unwritten_wipes: dict[int, int] = {}

    def adjust(self, settings: AccountsSettings) -> None:
        """Other settings hold from now on, but for what was made of them at the start."""
        self._settings = settings

    # ---- a PIN is asked for -------------------------------------------------------------------------

    def request_pin(self, user: int, address: str, done: Done) -> None:
        refused = self._refuse_at_once(user) or self._refuse_pin(address)
        if refused is not None:
            done(refused)
            return
        digits = self._settings.pin_digits
        pin = f"{self._random.randrange(10**digits):0{digits}}"
        event = AskPin(user, self._clock(), pin, self._random.randbytes(pins.SALT_SIZE))

        def written(result: Result) -> None:
            self._in_store -= 1
            if result.error is not None:
                self._courier.release()
                done(refusal_for(result.error, self._settings.overloaded_retry_ms))
                return
            step: Step = result.value
            if step.deliver:
                self._courier.post(self._delivery(event))
            else:
                self._courier.release()
            done(step.outcome)

        error = self._transact(written, ask_pin_in, self._key(user), event)
        if error is not None:
            self._courier.release()
            done(error)

    def _refuse_at_once(self, user: int) -> Refused | None:
        if not self._settings.open:
            return Refused(errors.REGISTRATION_CLOSED, "this server registers nobody now")
        if not is_number(user, self._settings.numbers):
            return Refused(errors.BAD_NUMBER, f"not a {self._settings.numbers} phone number")
        if self._in_store >= self._settings.requests_waiting_max:
            return self._overloaded()
        return None

    def _refuse_pin(self, address: str) -> Refused | None:
        """None: a place at the courier is reserved, and the address has spent one of its PINs."""
        if not self._courier.reserve():
            return self._overloaded()
        wait = self._address_pins.spend(address, self._clock())
        if wait:
            self._courier.release()
            return Refused(errors.PIN_LIMIT, "too many PINs were asked for from this address", wait)
        return None

    def _delivery(self, event: AskPin) -> Delivery:
        return Delivery(
            user=event.user,
            pin=event.pin,
            text=self._settings.message.replace("{pin}", event.pin),
            id=self._random.randbytes(16).hex(),
            valid_ms=self._rules.valid_ms,
            expires_at_ms=event.now + self._rules.valid_ms,
        )

    # ---- a device registers -------------------------------------------------------------------------

    def register(self, user: int, pin: str, key: bytes, stream: bytes, address: str, done: Done) -> None:
        refused = self._refuse_at_once(user) or self._refuse_guess(key, address)
        if refused is not None:
            done(refused)
            return
        now = self._clock()
        event = RegisterDevice(user, now, pin, key, stream, self._stand_ins.guessed(user, now))

        def written(result: Result) -> None:
            self._in_store -= 1
            if result.error is not None:
                self._address_guesses.refund(address, self._clock())
                done(refusal_for(result.error, self._settings.overloaded_retry_ms))
                return
            step: Step = result.value
            if not step.guessed:
                self._address_guesses.refund(address, self._clock())
            self._registered(step, done)

        error = self._transact(written, register_device_in, self._key(user), event)
        if error is not None:
            self._address_guesses.refund(address, self._clock())
            done(error)

    def _refuse_guess(self, key: bytes, address: str) -> Refused | None:
        """None: the address has spent a guess. It is given back when the PIN was right."""
        if not is_device_key(key):
            return Refused(
                errors.MALFORMED, "register-request.key: not an Ed25519 public key that can be used"
            )
        wait = self._address_guesses.spend(address, self._clock())
        if wait:
            return Refused(errors.PIN_LIMIT, "too many wrong PINs came from this address", wait)
        return None

    def _registered(self, step: Step, done: Done) -> None:
        outcome, waits = step.outcome, False
        if step.replaced is not None:
            self._answers.replaced(step.replaced.user, step.replaced.generation)
        if step.after_wipe:
            assert isinstance(outcome, Registered)
            late = Refused(errors.SUPERSEDED, "another device of this number has registered since")
            waits = self._answers.add(
                outcome.user, outcome.generation, lambda present: done(outcome if present else late)
            )
        if step.replaced is not None:
            self._on_replaced(step.replaced)  # may report the wipe as done at once: the answer waits by now
        if not waits:
            done(outcome)

    # ---- mail of former devices is expired ----------------------------------------------------------

    def wiped(self, user: int, generation: int) -> None:
        """Write that it is; tried again by `write_wipes` as long as the store can't."""
        self._unwritten_wipes[user] = generation
        self._write_wipe(user, generation)

    def superseded(self, user: int, generation: int) -> None:
        """The number's device was ended otherwise: registrations of it that wait for a wipe came too late."""
        self._answers.replaced(user, generation)

    def unwritten_wipes(self) -> dict[int, int]:
        """Those that were reported and aren't written yet, user → generation; a copy."""
        return dict(self._unwritten_wipes)

    def forget(self, gone: Callable[[int], bool]) -> None:
        """Of these users another node is the primary from now on: it ends what is to be wiped. Who waits for that is
        told at once, and its login waits instead."""
        for user in [user for user in self._unwritten_wipes if gone(user)]:
            del self._unwritten_wipes[user]
        self._answers.release(gone)

    def write_wipes(self) -> None:
        """Try again what the store couldn't write. Called now and then."""
        for user, generation in tuple(self._unwritten_wipes.items()):
            self._write_wipe(user, generation)

    def _write_wipe(self, user: int, generation: int) -> None:
        def written(result: Result) -> None:
            if result.error is not None:
                _log.error("wipe_not_written", cause=cause_of(result.error))
                return
            if self._unwritten_wipes.get(user) == generation:
                del self._unwritten_wipes[user]
            if result.value:
                self._answers.wiped(user, generation)

        key = self._key(user)
        try:
            self._keeping.submit(key[0], written, wiped_in, key, generation)
        except StoreError as error:
            _log.warning("wipe_not_written", cause=cause_of(error))

    # ---- the store ----------------------------------------------------------------------------------

    def _transact(
        self,
        written: Callable[[Result], None],
        fn: Callable[..., Step],
        key: tuple[int, int],
        event: AskPin | RegisterDevice,
    ) -> Refused | None:
        """Hand a transaction over; `written` is called later. Or the refusal, if the store takes none."""
        try:
            self._keeping.submit(key[0], written, fn, key, event, self._secret, self._rules, agreed=True)
        except StoreError as error:
            return refusal_for(error, self._settings.overloaded_retry_ms)
        self._in_store += 1
        return None

    def _key(self, user: int) -> tuple[int, int]:
        return self._partition_of(user), user

    def _overloaded(self) -> Refused:
        text = "too many PIN requests and registrations at once"
        return Refused(errors.OVERLOADED, text, self._settings.overloaded_retry_ms)

    def statistics(self) -> dict[str, Any]:
        return {
            "in_store": self._in_store,
            "in_store_max": self._settings.requests_waiting_max,
            "waiting_for_wipe": len(self._answers),
            "waiting_for_wipe_max": self._answers.most,
            "stand_ins": len(self._stand_ins),
            "wipes_unwritten": len(self._unwritten_wipes),
            "address_pins": attrs.asdict(self._address_pins.statistics()),
            "address_guesses": attrs.asdict(self._address_guesses.statistics()),
        }


def ask_pin_in(txn: Transaction, key: tuple[int, int], event: AskPin, secret: bytes, rules: PinRules) -> Step:
    value = txn.get(PIN.name, key)
    step = registration.ask_pin(None if value is None else pins.from_value(value), event, secret, rules)
    if step.pin is not None:
        txn.put(PIN.name, key, step.pin.to_value())
    return step


def register_device_in(
    txn: Transaction, key: tuple[int, int], event: RegisterDevice, secret: bytes, rules: PinRules
) -> Step:
    account, pin = txn.get(ACCOUNT.name, key), txn.get(PIN.name, key)
    step = registration.register_device(
        None if account is None else records.from_value(account),
        None if pin is None else pins.from_value(pin),
        event,
        secret,
        rules,
    )
    if step.account is not None:
        assert step.pin is not None, "a registration uses up its PIN"
        txn.put(ACCOUNT.name, key, step.account.to_value())
    if step.pin is not None:
        txn.put(PIN.name, key, step.pin.to_value())
    return step


def wiped_in(txn: Transaction, key: tuple[int, int], generation: int) -> bool:
    """Whether the wipe of this generation is over, now or before."""
    value = txn.get(ACCOUNT.name, key)
    account = None if value is None else records.from_value(value)
    done = registration.wiped(account, generation)
    if done is not None:
        txn.put(ACCOUNT.name, key, done.to_value())
    return account is not None and account.generation == generation
