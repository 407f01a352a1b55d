"""(epoch, counter) of a login as one number, for as long as a session is only held: 32 bytes of memory, not 88."""

from typing import Final

COUNTER_BITS: Final = 48
"""Of milliseconds since 1970: enough for eight thousand years. What a peer says is checked against it (`reading`)."""
COUNTER_MAX: Final = (1 << COUNTER_BITS) - 1
PACKED_SIZE: Final = 10
"""Bytes, of a login whose claim isn't the four billionth of its partition."""


def packed(login: tuple[int, int]) -> int:
    """The same as a number; of two the higher login is the higher one."""
    epoch, counter = login
    assert 0 <= counter <= COUNTER_MAX
    return epoch << COUNTER_BITS | counter


def unpacked(number: int) -> tuple[int, int]:
    """What was packed."""
    return number >> COUNTER_BITS, number & COUNTER_MAX
