import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.accounts.numbers import NumberRefused, is_number, parse_number
from node.wire.limits import USER_MAX


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("+15551230001", 15551230001),
        (" +1 (555) 123-0001 ", 15551230001),
        ("+49 175 1234567", 491751234567),
        ("+44 (0)1632 960961", 441632960961),
        ("+39 06 1234", 39061234),
    ],
)
def test_a_number_written_by_a_person_becomes_its_e164_digits(text: str, user: int) -> None:
    assert parse_number(text) == user
    assert is_number(user)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5551230001",
        "015112345",
        "+",
        "+1555",
        "+999123456789",
        "+1555123000112345",
        "+15551230001 ext. 5",
    ],
)
def test_what_is_not_a_whole_international_number_is_refused(text: str) -> None:
    with pytest.raises(NumberRefused):
        parse_number(text)


def test_valid_is_stricter_than_possible() -> None:
    assert is_number(15551230001, "possible")
    assert not is_number(15551230001, "valid")
    assert is_number(491751234567, "valid")
    with pytest.raises(NumberRefused):
        parse_number("+15551230001", "valid")


def test_one_phone_is_one_user() -> None:
    assert is_number(441632960961)
    assert not is_number(4401632960961), "a national prefix after the country code would be a second user"


@pytest.mark.parametrize("user", [0, -1, USER_MAX + 1, 1, 12, 999, 10**14])
def test_integers_outside_any_plan_are_refused(user: int) -> None:
    assert not is_number(user)


@given(st.integers(min_value=1, max_value=USER_MAX))
def test_whatever_is_a_number_parses_to_itself(user: int) -> None:
    if is_number(user):
        assert parse_number(f"+{user}") == user
