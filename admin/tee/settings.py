"""[shadow], and the named limits of a tee."""

from __future__ import annotations

from typing import Final

import attrs

from admin.channel.errors import PlaceUnusable
from admin.channel.place import Place
from replication.zeromq.keys import is_public_key

BUFFER_BYTES_MAX: Final = 4_194_304
"""What was said and isn't sent yet; what is beyond is dropped and counted."""
BUFFER_ENTRIES_MAX: Final = 50_000
TICK_S: Final = 0.02
"""How often the buffer is looked at,"""
WORK_S_MAX: Final = 0.002
"""and how long it is worked on then: a tenth of the loop's time at most, whatever the share."""
SHED_S: Final = 1.0
"""How often it is looked whether something had to be dropped: then the share is more than can be carried,"""
SHED_SHARE: Final = 0.75
"""and this part of its users is kept. So what is carried of a user is whole again soon."""
BATCH_BYTES_MAX: Final = 32_768
"""One message to the test node; a single read that is larger goes alone."""
MESSAGE_BYTES_MAX: Final = 1_048_576
"""More than a read of the hub's and its head can be."""
BATCHES_QUEUED_MAX: Final = 64
"""Messages that ZeroMQ holds for the test node."""
JOINED_MAX: Final = 1_024
"""Recipients of one session that are remembered to have been said once."""
CONNECT_S_MAX: Final = 5.0
RECONNECT_S: Final = 1.0
REPORT_S: Final = 1.0
"""How often the test node says what it counted,"""
SILENCE_S_MAX: Final = 5.0
"""and after how long without a word its guests are let go."""
SOURCES_MAX: Final = 16
"""Live nodes that may tee to one test node."""
REPORT_BYTES_MAX: Final = 65_536
KEYS_MAX: Final = 64


@attrs.frozen(kw_only=True)
class ShadowSettings:
    """[shadow]. Raises ValueError, naming option and remedy."""

    enabled: bool = False
    """Whether this node is said what phones say to others, instead of having phones of its own. As `waystation run
    --shadow`."""
    listen: str = "127.0.0.1:7450"
    """host:port, [IPv6]:port or ipc:///path where live nodes connect."""
    allow: tuple[str, ...] = ()
    """Public keys of the live nodes that may, as `waystation admin NODE tee status` shows them."""

    def __attrs_post_init__(self) -> None:
        try:
            Place.parse(self.listen)
        except PlaceUnusable as error:
            raise ValueError(f"shadow.listen: {error}") from None
        if len(self.allow) > KEYS_MAX or not all(map(is_public_key, self.allow)):
            raise ValueError(
                f"shadow.allow holds what is no public key, or more than {KEYS_MAX}: list keys of 40 characters"
            )
