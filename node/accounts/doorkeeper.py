"""Driving login: limits on those that fail, the account read from the store, the signature judged.

A store larger than memory reads on another thread, so a registration may come between a read and its
judgement: whoever was read before is read again. This module must never know a connection.
"""

from collections.abc import Callable
from typing import Any

import attrs

from node.accounts.budgets import Budgets
from node.accounts.login import judge
from node.accounts.outcomes import LoggedIn, Outcome, Refused
from node.accounts.records import from_value
from node.accounts.refusals import refusal_for
from node.accounts.settings import AccountsSettings
from node.accounts.tables import ACCOUNT
from node.wire import errors
from store.errors import StoreError
from store.group import OpenGroup
from store.results import Result
from store.snapshot import Snapshot

Done = Callable[[Outcome], None]


class _Attempt:
    """One login that waits for its account."""

    __slots__ = ("address", "certificate_sha256", "done", "nonce", "signature", "stale", "user")

    def __init__(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None:
        self.user = user
        self.nonce = nonce
        self.certificate_sha256 = certificate_sha256
        self.signature = signature
        self.address = address
        self.done = done
        self.stale = False


class Doorkeeper:
    """Logins. See `service.Accounts` for the arguments."""

    def __init__(
        self,
        settings: AccountsSettings,
        group: OpenGroup,
        partition_of: Callable[[int], int],
        *,
        clock: Callable[[], int],
    ) -> None:
        self._overloaded_retry_ms = settings.overloaded_retry_ms
        self._group = group
        self._table = group.table(ACCOUNT.name)
        self._partition_of = partition_of
        self._clock = clock
        self._addresses = Budgets(
            burst=settings.address_logins_burst,
            every_ms=settings.address_logins_every_s * 1000,
            keys_max=settings.budgets_max,
        )
        self._numbers = Budgets(
            burst=settings.number_logins_burst,
            every_ms=settings.number_logins_every_s * 1000,
            keys_max=settings.budgets_max,
        )
        self._reading: dict[int, list[_Attempt]] = {}
        self._logins = 0
        self._failed = 0
        self._held_up = 0
        self._read_again = 0

    def login(
        self, user: int, nonce: bytes, certificate_sha256: bytes, signature: bytes, address: str, done: Done
    ) -> None:
        """`done` is called at once while the group is read from memory."""
        wait = self._wait(user, address)
        if wait:
            self._held_up += 1
            done(Refused(errors.RATE_LIMITED, "too many logins have failed", wait))
            return
        if self._group.warm:
            try:
                value = self._table.get((self._partition_of(user), user))
            except StoreError as error:
                done(refusal_for(error, self._overloaded_retry_ms))
                return
            done(self._judged(value, user, nonce, certificate_sha256, signature, address))
            return
        self._read(_Attempt(user, nonce, certificate_sha256, signature, address, done))

    def judge_device(self, user: int, stream: bytes, done: Callable[[int], None]) -> None:
        """See `service.Accounts.judge_device`."""
        table, key = ACCOUNT.name, (self._partition_of(user), user)

        def judged(result: Result) -> None:
            done(errors.OVERLOADED if result.error is not None else _may_go_on(result.value, stream))

        try:
            self._group.read(lambda reader: reader.get(table, key), judged)
        except StoreError:
            done(errors.OVERLOADED)

    def replaced(self, user: int) -> None:
        """The account has changed: whoever was read before this is read again."""
        for attempt in self._reading.get(user, ()):
            attempt.stale = True

    def _wait(self, user: int, address: str) -> int:
        """How long this login must wait. An address that hasn't failed never waits for a number's sake."""
        now = self._clock()
        wait = self._addresses.wait(address, now)
        if wait or not self._addresses.debt(address, now):
            return wait
        return self._numbers.wait(user, now)

    def _read(self, attempt: _Attempt) -> None:
        table, key = ACCOUNT.name, (self._partition_of(attempt.user), attempt.user)

        def read(reader: Snapshot) -> Any:
            return reader.get(table, key)

        attempt.stale = False
        self._reading.setdefault(attempt.user, []).append(attempt)
        try:
            self._group.read(read, lambda result: self._was_read(attempt, result))
        except StoreError as error:
            self._forget(attempt)
            attempt.done(refusal_for(error, self._overloaded_retry_ms))

    def _was_read(self, attempt: _Attempt, result: Result) -> None:
        self._forget(attempt)
        if result.error is not None:
            attempt.done(refusal_for(result.error, self._overloaded_retry_ms))
        elif attempt.stale:
            self._read_again += 1
            self._read(attempt)
        else:
            attempt.done(
                self._judged(
                    result.value,
                    attempt.user,
                    attempt.nonce,
                    attempt.certificate_sha256,
                    attempt.signature,
                    attempt.address,
                )
            )

    def _forget(self, attempt: _Attempt) -> None:
        attempts = self._reading[attempt.user]
        attempts.remove(attempt)
        if not attempts:
            del self._reading[attempt.user]

    def _judged(
        self,
        value: Any,
        user: int,
        nonce: bytes,
        certificate_sha256: bytes,
        signature: bytes,
        address: str,
    ) -> LoggedIn | Refused:
        account = None if value is None else from_value(value)
        outcome = judge(account, user, nonce, certificate_sha256, signature)
        if isinstance(outcome, LoggedIn):
            self._logins += 1
        elif outcome.code == errors.UNAUTHORISED:
            self._failed += 1
            now = self._clock()
            self._addresses.spend(address, now)
            self._numbers.spend(user, now)
        return outcome

    def statistics(self) -> dict[str, Any]:
        return {
            "logins": self._logins,
            "failed": self._failed,
            "held_up": self._held_up,
            "read_again": self._read_again,
            "reading": sum(map(len, self._reading.values())),
            "failed_addresses": attrs.asdict(self._addresses.statistics()),
            "failed_numbers": attrs.asdict(self._numbers.statistics()),
        }


def _may_go_on(value: Any, stream: bytes) -> int:
    account = None if value is None else from_value(value)
    if account is None or account.stream != stream:
        return errors.SUPERSEDED
    if account.blocked:
        return errors.BLOCKED
    return errors.OVERLOADED if account.wiping else 0
