"""Logins whose accounts are read on another thread, in the order of events that matters."""

from collections.abc import Callable
from typing import Any

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.accounts.doorkeeper import Doorkeeper
from node.accounts.outcomes import LoggedIn, Outcome, Refused
from node.accounts.records import Account
from node.accounts.settings import AccountsSettings
from node.wire import errors
from node.wire.login import login_message
from store.errors import DamagedRecord, StoreBusy
from store.results import Result

USER = 15551230001
OLD, NEW = (Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number in (1, 2))
NONCE = b"n" * 32


def account_of(device: Ed25519PrivateKey, generation: int) -> list[Any]:
    return Account(device.public_key().public_bytes_raw(), b"s" * 8, generation, since=0).to_value()


@attrs.define
class ColdGroup:
    """A group larger than memory: reads see the rows at once, and come back when they are told to."""

    row: Any = None
    busy: bool = False
    damaged: bool = False
    waiting: list[Callable[[], None]] = attrs.Factory(list)
    warm: bool = False

    def table(self, name: str) -> None:
        return None

    def read(self, fn: Callable[[Any], Any], done: Callable[[Result], None]) -> None:
        if self.busy:
            raise StoreBusy("the readers have too much to do")
        result = Result(DamagedRecord("a row of account")) if self.damaged else Result(None, 0, fn(self))
        self.waiting.append(lambda: done(result))

    def get(self, table: str, key: tuple[int, int]) -> Any:
        return self.row

    def come_back(self) -> None:
        waiting, self.waiting = self.waiting, []
        for come in waiting:
            come()


def login(doorkeeper: Doorkeeper, device: Ed25519PrivateKey) -> list[Outcome]:
    answers: list[Outcome] = []
    doorkeeper.login(USER, NONCE, b"", device.sign(login_message(USER, NONCE, b"")), "home", answers.append)
    return answers


def doorkeeper_for(group: ColdGroup, clock: Callable[[], int]) -> Doorkeeper:
    return Doorkeeper(AccountsSettings(), group, lambda user: 7, clock=clock)  # type: ignore[arg-type]


def test_a_cold_login_is_answered_when_the_read_comes_back(clock: Callable[[], int]) -> None:
    group = ColdGroup(account_of(OLD, 1))
    doorkeeper = doorkeeper_for(group, clock)
    answers = login(doorkeeper, OLD)
    assert answers == []
    assert doorkeeper.statistics()["reading"] == 1
    group.come_back()
    assert answers == [LoggedIn(USER, b"s" * 8, 1)]
    assert doorkeeper.statistics()["reading"] == 0


def test_a_device_that_is_replaced_while_its_account_is_read_does_not_get_in(
    clock: Callable[[], int],
) -> None:
    group = ColdGroup(account_of(OLD, 1))
    doorkeeper = doorkeeper_for(group, clock)
    answers = login(doorkeeper, OLD)
    group.row = account_of(NEW, 2)
    doorkeeper.replaced(USER)
    group.come_back()
    assert answers == [], "read again, since what was read is old"
    group.come_back()
    assert [type(answer) for answer in answers] == [Refused]
    assert doorkeeper.statistics()["read_again"] == 1
    answers = login(doorkeeper, NEW)
    group.come_back()
    assert answers == [LoggedIn(USER, b"s" * 8, 2)]


def test_a_store_that_cannot_read_is_no_verdict_on_the_phone(clock: Callable[[], int]) -> None:
    group = ColdGroup(account_of(OLD, 1), busy=True)
    doorkeeper = doorkeeper_for(group, clock)
    (busy,) = login(doorkeeper, OLD)
    assert isinstance(busy, Refused)
    assert (busy.code, busy.retry_ms) == (errors.OVERLOADED, 2_000)
    group.busy, group.damaged = False, True
    answers = login(doorkeeper, OLD)
    group.come_back()
    assert isinstance(answers[0], Refused)
    assert answers[0].code == errors.INTERNAL
    statistics = doorkeeper.statistics()
    assert statistics["failed"] == 0
    assert statistics["reading"] == 0
