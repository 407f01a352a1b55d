"""[admin], and the named limits of the channel."""

from typing import Final

import attrs

REQUEST_BYTES_MAX: Final = 16_384
"""A larger request is refused in words,"""
MESSAGE_BYTES_MAX: Final = 65_536
"""and one larger than this ends its connection unread."""
ANSWER_BYTES_MAX: Final = 4_194_304
WORDS_MAX: Final = 256
ITEM_BYTES_MAX: Final = 65_536
"""One line of what a command tells before its result."""
ANSWERS_QUEUED_MAX: Final = 256
"""Answers that wait for one terminal; lines beyond are dropped and counted."""
ANSWER_TRIES_MAX: Final = 50
"""How often a result is offered to a terminal that takes none,"""
ANSWER_WAIT_S: Final = 0.1
"""and how long it waits between."""
READ_MESSAGES: Final = 64
"""Requests taken in one go,"""
PAUSE_S: Final = 0.05
"""and how long nothing is read after more came than may: at most 1,280 a second, however many are sent."""
COMMANDS_MAX: Final = 32
"""Commands that run at one time,"""
COMMANDS_PER_KEY_MAX: Final = 8
"""and of one key."""
KEYS_LOOK_S: Final = 1.0
"""How often the list of keys is looked at."""
KEYS_MAX: Final = 1_000
KEYS_BYTES_MAX: Final = 262_144
AUDIT_KEPT: Final = 4
"""Full audit files that are kept."""
AUDIT_TEXT_MAX: Final = 400
"""Characters of a result, or of one argument, in the audit."""
FORBIDDEN_AT_ONCE: Final = 20
"""Requests of one key above its role that are listed with the changes,"""
FORBIDDEN_PER_S: Final = 1 / 60
"""and how many a second over time; the others are listed with the looks."""
FORBIDDEN_KEYS: Final = KEYS_MAX
"""Keys of which that is known."""

assert REQUEST_BYTES_MAX < MESSAGE_BYTES_MAX < ANSWER_BYTES_MAX
assert COMMANDS_PER_KEY_MAX < COMMANDS_MAX, "one key can't take all places"


@attrs.frozen(kw_only=True)
class AdminSettings:
    """[admin]. Raises ValueError, naming option and remedy."""

    enabled: bool = True
    """Whether the node can be operated while it runs."""
    listen: str = ""
    """host:port, [IPv6]:port or ipc:///path. Empty: a socket in the data directory, for this machine only."""
    requests_per_s: int = 50
    """What one key may ask for, over time …"""
    requests_burst: int = 100
    """… and at once; what is beyond is refused."""
    audit_bytes_max: int = 16_777_216
    """Size at which an audit file is full; some full ones are kept."""

    def __attrs_post_init__(self) -> None:
        for name, low, high in (
            ("requests_per_s", 1, 10_000),
            ("requests_burst", 1, 10_000),
            ("audit_bytes_max", 65_536, 1 << 40),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"admin.{name} is {value}: choose a value from {low} to {high}")
