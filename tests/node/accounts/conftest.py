"""What the tests of accounts share: a clock that is set, and deliveries."""

from collections.abc import Callable

import attrs
import pytest

from node.accounts.gateway import Delivery

START = 1_800_000_000_000


@attrs.define
class Clock:
    """Unix time in ms that stands still until it is moved."""

    now: int = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make_delivery() -> Callable[..., Delivery]:
    def make(number: int = 15551230001, pin: str = "314159") -> Delivery:
        return Delivery(
            user=number,
            pin=pin,
            text=f"Your PIN is {pin}",
            id=f"id-{number}",
            valid_ms=600_000,
            expires_at_ms=START + 600_000,
        )

    return make
