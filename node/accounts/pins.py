"""PINs: when a number may have one, and whether a guess is right. Pure; time and randomness are passed in.

A PIN is short, so what protects it is how few guesses there are: a number gets `requests_per_day` PINs in
any 24 hours, each takes `attempts_max` wrong guesses and lives for `valid_ms`. All of that is in the record
and so survives a restart. Stored is a keyed hash over number, salt and PIN: a dump or a replica of the rows
alone gives nothing to try PINs against.

This module must never know whether a number is registered, nor how a PIN reaches its phone.
"""

import hmac
from enum import Enum
from hashlib import blake2b
from typing import Any, Final

import attrs

FORMAT: Final = 1
DAY_MS: Final = 86_400_000
SALT_SIZE: Final = 8
DIGEST_SIZE: Final = 32


@attrs.frozen
class PinRules:
    """The limits, in the core's units. See AccountsSettings for what each is for."""

    valid_ms: int
    attempts_max: int
    requests_per_day: int
    wait_ms: int
    wait_factor: float
    wait_ms_max: int

    def wait_after(self, requests: int) -> int:
        """How long to wait after the last of so many requests in a day."""
        return min(self.wait_ms_max, round(self.wait_ms * self.wait_factor ** (requests - 1)))


@attrs.frozen
class PinRecord:
    """What the store keeps of a number that asked for PINs.

    requests: Unix times in ms of the requests of the last day, oldest first; the PIN is of the last one.
    used: a device was registered with it. It stays, so that a phone that missed the answer can ask again.
    """

    requests: tuple[int, ...]
    salt: bytes = attrs.field(repr=False)
    digest: bytes = attrs.field(repr=False)
    attempts: int = 0
    used: bool = False

    def __attrs_post_init__(self) -> None:
        assert self.requests
        assert self.attempts >= 0

    def to_value(self) -> list[Any]:
        return [FORMAT, list(self.requests), self.salt, self.digest, self.attempts, self.used]


class Verdict(Enum):
    RIGHT = "right"
    AGAIN = "again"  # right, but a device was registered with it already
    WRONG = "wrong"


def from_value(value: Any) -> PinRecord:
    assert value[0] == FORMAT, f"PIN record of format {value[0]}: run the program that wrote it, or a newer"
    _, requests, salt, digest, attempts, used = value
    return PinRecord(tuple(requests), salt, digest, attempts, used)


def pin_digest(secret: bytes, user: int, salt: bytes, pin: str) -> bytes:
    """secret: 32 bytes, for this purpose alone."""
    assert len(salt) == SALT_SIZE
    return blake2b(
        user.to_bytes(8, "big") + salt + pin.encode(),
        digest_size=DIGEST_SIZE,
        key=secret,
        person=b"waystation pin",
    ).digest()


def corrected(record: PinRecord, now: int) -> PinRecord:
    """The record without times that are still to come: the clock was set back since they were written.

    They count as now, once: nobody waits for longer than the limits say, and nobody gets more PINs.
    """
    if record.requests[-1] <= now:
        return record
    return attrs.evolve(record, requests=tuple(min(at, now) for at in record.requests))


def wait_before_request(record: PinRecord | None, now: int, rules: PinRules) -> int:
    """How many ms until this number may ask for a PIN; 0 is now."""
    if record is None:
        return 0
    recent = _recent(record, now)
    if not recent:
        return 0
    wait = recent[-1] + rules.wait_after(len(recent)) - now
    if len(recent) >= rules.requests_per_day:
        wait = max(wait, recent[-rules.requests_per_day] + DAY_MS - now)
    return max(0, wait)


def issue(record: PinRecord | None, now: int, salt: bytes, digest: bytes, rules: PinRules) -> PinRecord:
    """The record with a new PIN; the one before stops being valid. Only when nothing is left to wait for."""
    assert wait_before_request(record, now, rules) == 0
    recent = () if record is None else _recent(record, now)
    return PinRecord(requests=(*recent, now), salt=salt, digest=digest)


def guess(record: PinRecord, now: int, digest: bytes, rules: PinRules) -> tuple[Verdict, PinRecord]:
    """Whether `digest` is that of the PIN, and the record to be kept before anybody is told."""
    # Always compared: what was wrong must not show in time.
    right = hmac.compare_digest(record.digest, digest)
    too_late = now - record.requests[-1] >= rules.valid_ms or is_used_up(record, rules)
    if too_late or not right:
        return Verdict.WRONG, missed(record, rules)
    if record.used:
        return Verdict.AGAIN, record
    return Verdict.RIGHT, attrs.evolve(record, used=True)


def missed(record: PinRecord, rules: PinRules) -> PinRecord:
    """The record after a wrong guess. Each counts, also at a PIN that is used or too old: what a guess is told must not
    show which it is."""
    return record if is_used_up(record, rules) else attrs.evolve(record, attempts=record.attempts + 1)


def is_used_up(record: PinRecord, rules: PinRules) -> bool:
    """Whether only another PIN helps."""
    return record.attempts >= rules.attempts_max


def is_spent(record: PinRecord, now: int) -> bool:
    """Whether nothing of the record matters any more, so that it can be deleted."""
    return not _recent(record, now)


def _recent(record: PinRecord, now: int) -> tuple[int, ...]:
    return tuple(at for at in record.requests if now - at < DAY_MS)
