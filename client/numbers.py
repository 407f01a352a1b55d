"""Phone numbers as people write them, and as the wire carries them. Only the form is checked, by E.164.

Whether a number exists, and whether it may register, is the node's to say.
"""

import re

from client.errors import BadRecipient
from node.wire.limits import USER_MAX


def parse_number(number: str | int) -> int:
    """The number without its plus sign; spaces, hyphens, dots and brackets are allowed after it.

    Raises:
        BadRecipient: not a number in international form.
    """
    if isinstance(number, int):
        if not 1 <= number <= USER_MAX:
            raise BadRecipient(f"{number} is not of 1 to 15 digits")
        return number
    text = re.sub(r"[\s().-]", "", number)
    if not re.fullmatch(r"\+[1-9][0-9]{0,14}", text):
        raise BadRecipient(f"{number!r} is not in international form")
    return int(text)


def show_number(user: int) -> str:
    """With its plus sign."""
    return f"+{user}"
