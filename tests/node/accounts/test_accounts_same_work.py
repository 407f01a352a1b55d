"""Whether a number is registered must not show: neither in answers (see the machine's tests) nor in work done."""

from typing import Any

import attrs
import pytest

from node.accounts import pins
from node.accounts.pins import PinRecord, PinRules
from node.accounts.records import Account
from node.accounts.registrar import ask_pin_in, register_device_in
from node.accounts.registration import AskPin, RegisterDevice

USER, NOW = 15551230001, 1_800_000_000_000
KEY = (7, USER)
SECRET = b"s" * 32
RULES = PinRules(
    valid_ms=600_000,
    attempts_max=5,
    requests_per_day=5,
    wait_ms=60_000,
    wait_factor=2.0,
    wait_ms_max=3_600_000,
)
SALT = b"salt" * 2
OUTSTANDING = PinRecord((NOW - 1,), SALT, pins.pin_digest(SECRET, USER, SALT, "111111"))
REGISTERED = Account(b"k" * 32, b"s" * 8, 3, NOW, block_changes=1)


@attrs.define
class RecordingTransaction:
    """Rows in a dictionary, and every call written down with the sizes of what went through."""

    rows: dict[tuple[str, tuple[int, int]], Any]
    calls: list[tuple[object, ...]] = attrs.Factory(list)

    def get(self, table: str, key: tuple[int, int]) -> Any:
        self.calls.append(("get", table, key))
        return self.rows.get((table, key))

    def put(self, table: str, key: tuple[int, int], value: Any) -> None:
        self.calls.append(("put", table, key, value))
        self.rows[table, key] = value


def transaction(*, registered: bool, asked: bool) -> RecordingTransaction:
    rows: dict[tuple[str, tuple[int, int]], Any] = {}
    if registered:
        rows["account", KEY] = REGISTERED.to_value()
    if asked:
        rows["pin", KEY] = OUTSTANDING.to_value()
    return RecordingTransaction(rows)


@pytest.mark.parametrize("asked", [False, True])
def test_asking_for_a_pin_does_the_same_for_every_number(asked: bool) -> None:
    event = AskPin(USER, NOW, "222222", b"pepper 1")
    known, unknown = (transaction(registered=registered, asked=asked) for registered in (True, False))
    assert ask_pin_in(known, KEY, event, SECRET, RULES) == ask_pin_in(unknown, KEY, event, SECRET, RULES)  # type: ignore[arg-type]
    assert known.calls == unknown.calls
    assert not any(call[1] == "account" for call in known.calls), "the account isn't looked at"


@pytest.mark.parametrize("asked", [False, True])
def test_a_wrong_pin_does_the_same_for_every_number(asked: bool) -> None:
    event = RegisterDevice(USER, NOW, "222222", b"K" * 32, b"S" * 8)
    known, unknown = (transaction(registered=registered, asked=asked) for registered in (True, False))
    first = register_device_in(known, KEY, event, SECRET, RULES)  # type: ignore[arg-type]
    assert first == register_device_in(unknown, KEY, event, SECRET, RULES)  # type: ignore[arg-type]
    assert known.calls == unknown.calls


@pytest.mark.parametrize("asked", [False, True])
def test_a_guess_is_hashed_and_compared_whether_or_not_a_pin_is_outstanding(
    asked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []
    compare = pins.hmac.compare_digest

    def counting(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(pins.hmac, "compare_digest", counting)
    event = RegisterDevice(USER, NOW, "222222", b"K" * 32, b"S" * 8)
    register_device_in(transaction(registered=True, asked=asked), KEY, event, SECRET, RULES)  # type: ignore[arg-type]
    assert compared == [(pins.DIGEST_SIZE, pins.DIGEST_SIZE)]
