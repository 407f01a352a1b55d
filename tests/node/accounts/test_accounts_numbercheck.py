"""What is remembered is what the numbers' own rules say, and bounded."""

import pytest

from node.accounts import numbercheck
from node.accounts.numbercheck import NumberCheck
from node.accounts.numbers import Strictness, is_number

NUMBERS = (1, 12, 442079460000, 4402079460000, 15551230001, 41446681800, 999_999_999_999_999)


@pytest.mark.parametrize("strictness", ["possible", "valid"])
def test_it_says_what_the_numbers_rules_say_each_time(strictness: Strictness) -> None:
    check = NumberCheck(strictness)
    for _ in range(2):
        assert [check.passes(number) for number in NUMBERS] == [
            is_number(number, strictness) for number in NUMBERS
        ]


def test_a_number_is_looked_at_once_and_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def looking(number: int, strictness: Strictness) -> bool:
        looked.append(number)
        return True

    monkeypatch.setattr(numbercheck, "is_number", looking)
    check = NumberCheck("possible", most=2)
    for number in (1, 1, 2, 3, 3, 1):
        check.passes(number)
    assert looked == [1, 2, 3, 1]
    assert len(check) == 2
