"""Phone numbers: text → user, and whether a user can be a phone number at all.

A user is the number's E.164 digits as an integer (ITU-T E.164: 15 digits at most, the first of the country
code is never 0). One phone must be one user, so an integer that the numbering plan would write differently
(a national prefix after the country code, as in +44 0…) is refused rather than repaired.

This module must never know who is registered.
"""

from typing import Literal

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

from node.wire.limits import USER_MAX

Strictness = Literal["possible", "valid"]
"""possible: the length fits the country's plan (+1555… test numbers pass). valid: the range is assigned,
too."""


class NumberRefused(ValueError):
    """This isn't a phone number that can be used. Ask for it in international form, with + and country
    code."""


def parse_number(text: str, strictness: Strictness = "possible") -> int:
    """The user for a number as a person writes it: "+1 (555) 123-0001" → 15551230001.

    Raises:
        NumberRefused: it has no + and country code, or isn't possible (or valid) in that country's plan.
    """
    try:
        number = phonenumbers.parse(text.strip(), None)
    except NumberParseException as error:
        raise NumberRefused("not a phone number in international form; write it like +15551230001") from error
    if number.extension or not _passes(number, strictness):
        raise NumberRefused(f"not a {strictness} phone number; check its country code and its length")
    return int(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def is_number(user: int, strictness: Strictness = "possible") -> bool:
    """Whether this user can be a phone's number, written as E.164 writes it."""
    if not 1 <= user <= USER_MAX:
        return False
    written = f"+{user}"
    try:
        number = phonenumbers.parse(written, None)
    except NumberParseException:
        return False
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) == written and _passes(
        number, strictness
    )


def _passes(number: phonenumbers.PhoneNumber, strictness: Strictness) -> bool:
    if strictness == "valid":
        return phonenumbers.is_valid_number(number)
    return phonenumbers.is_possible_number(number)
