"""Registration as a pure machine: records and an event in, a step out. Time and randomness are in the event.

A step says what must be durable (`account`, `pin`) *before* any of the rest happens: the PIN handed to the
gateway, the mail core told of a replaced device, the phone answered. One transaction writes both records.

No answer depends on whether a number is registered: asking for a PIN doesn't look at the account at all, and
registering looks only after a right PIN has shown whose phone it is.

This module must never do I/O, and never be asked anything before the caller has checked the number.
"""

import attrs

from node.accounts import pins
from node.accounts.outcomes import PinSent, Refused, Registered, Replaced
from node.accounts.pins import PinRecord, PinRules, Verdict
from node.accounts.records import WIPE_RETRY_MS, WIPES_MAX, Account
from node.wire import errors

NO_RECORD = PinRecord(requests=(0,), salt=bytes(pins.SALT_SIZE), digest=bytes(pins.DIGEST_SIZE))
"""A stand-in without a wait (see `standins`)."""


@attrs.frozen
class AskPin:
    """Somebody asks for a PIN. The PIN and salt are fresh; they are dropped if none is due."""

    user: int
    now: int
    pin: str = attrs.field(repr=False)
    salt: bytes = attrs.field(repr=False)


@attrs.frozen
class RegisterDevice:
    """stand_in: what the guess is measured by if the number has no PIN: the same work, and the same answers."""

    user: int
    now: int
    pin: str = attrs.field(repr=False)
    key: bytes
    stream: bytes
    stand_in: PinRecord = NO_RECORD


@attrs.frozen
class Step:
    """What follows from an event. None: unchanged, or nothing to do.

    deliver: hand the event's PIN to the gateway. guessed: this was a wrong guess.
    after_wipe: the outcome is to be told only once the wipe of this generation is reported as done.
    """

    outcome: PinSent | Registered | Refused
    account: Account | None = None
    pin: PinRecord | None = None
    deliver: bool = False
    replaced: Replaced | None = None
    guessed: bool = False
    after_wipe: bool = False


def ask_pin(record: PinRecord | None, event: AskPin, secret: bytes, rules: PinRules) -> Step:
    """record: the number's PIN record, or None."""
    now = event.now
    kept = None if record is None else pins.corrected(record, now)
    wait = pins.wait_before_request(kept, now, rules)
    if wait > 0:
        refused = Refused(errors.PIN_LIMIT, "this number has asked for as many PINs as it may for now", wait)
        return Step(refused, pin=kept if kept is not record else None)
    digest = pins.pin_digest(secret, event.user, event.salt, event.pin)
    issued = pins.issue(kept, now, event.salt, digest, rules)
    retry = pins.wait_before_request(issued, now, rules)
    return Step(PinSent(event.user, retry, rules.valid_ms), pin=issued, deliver=True)


def register_device(
    account: Account | None, record: PinRecord | None, event: RegisterDevice, secret: bytes, rules: PinRules
) -> Step:
    """account and record: what the store has of this number, or None.

    The caller has checked that the key can be a device key.
    """
    now = event.now
    kept = pins.corrected(event.stand_in if record is None else record, now)
    digest = pins.pin_digest(secret, event.user, kept.salt, event.pin)
    verdict, after = pins.guess(kept, now, digest, rules)

    if verdict is Verdict.WRONG or record is None:
        return _wrong(record, kept, after, now, rules)
    if account is not None and account.blocked:
        return Step(Refused(errors.BLOCKED, "this number is blocked"))
    if verdict is Verdict.AGAIN:
        if account is None or (account.key, account.stream) != (event.key, event.stream):
            return _wrong(record, kept, pins.missed(kept, rules), now, rules)  # a used PIN registers nothing
        return _registered_before(account, event)
    if account is not None and account.stream == event.stream:
        return Step(Refused(errors.STREAM_REUSED, "a new registration needs a fresh random stream"))
    return _take_over(account, after, event)


def _wrong(record: PinRecord | None, kept: PinRecord, after: PinRecord, now: int, rules: PinRules) -> Step:
    """kept: the record, or its stand-in, before this guess; after: with it."""
    wait = pins.wait_before_request(kept, now, rules) if pins.is_used_up(kept, rules) else 0
    if wait > 0:
        text = "this number's PIN took too many wrong guesses: another one may be asked for after this time"
        refused = Refused(errors.PIN_LIMIT, text, wait)
    else:
        refused = Refused(errors.PIN_REFUSED, "the PIN is not the one that was sent last, or not any more")
    return Step(refused, pin=after if record is not None and after != record else None, guessed=True)


def _registered_before(account: Account, event: RegisterDevice) -> Step:
    """The phone that used this PIN asks again for the answer that it missed."""
    old_stream = account.wiping[-1] if account.wiping else None
    outcome = Registered(event.user, account.generation, account.generation > 1, old_stream)
    return Step(outcome, after_wipe=bool(account.wiping))


def _take_over(account: Account | None, pin: PinRecord, event: RegisterDevice) -> Step:
    if account is None:
        first = Account(event.key, event.stream, generation=1, since=event.now)
        return Step(Registered(event.user, 1, False, None), account=first, pin=pin)
    if len(account.wiping) >= WIPES_MAX:
        text = "mail of this number's former devices is still being expired"
        return Step(Refused(errors.OVERLOADED, text, WIPE_RETRY_MS))
    wiping = (*account.wiping, account.stream)
    device = attrs.evolve(
        account,
        key=event.key,
        stream=event.stream,
        generation=account.generation + 1,
        since=event.now,
        wiping=wiping,
    )
    return Step(
        Registered(event.user, device.generation, True, account.stream),
        account=device,
        pin=pin,
        replaced=Replaced(event.user, wiping, device.generation),
        after_wipe=True,
    )


def wiped(account: Account | None, generation: int) -> Account | None:
    """The account once the mail of the devices before `generation` is expired; None if nothing changes.

    A wipe for a generation that has been replaced since doesn't count: the later one covers it.
    """
    if account is None or account.generation != generation or not account.wiping:
        return None
    return attrs.evolve(account, wiping=())
