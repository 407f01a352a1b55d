"""What a message of `bench events` is counted as. It must never know who says it, nor why."""

from types import MappingProxyType
from typing import Final

from node.routing import codes
from replication.core import messages
from replication.detectorstate import BEAT, KNOCK, KNOCKED, PROBE, PROBE_ANSWER, PROBE_REPLY, PROBE_REQUEST
from replication.membership.exchange import TALLY, TELL, WANT

CONTROL: Final = "control"
GROUP: Final = "group"
BEATEN: Final = "beat"
HAILED: Final = "hail"
PERIODIC: Final = frozenset((BEATEN, HAILED))
"""What is said all the time, event or not."""
CONTROL_NAMES: Final = MappingProxyType(
    {
        BEAT: BEATEN, PROBE_REQUEST: "probe", PROBE: "probe", PROBE_REPLY: "probe", PROBE_ANSWER: "probe",
        KNOCK: "knock", KNOCKED: "knock", TELL: "roster", TALLY: "roster", WANT: "roster",
    }
)  # fmt: skip
OF_NODES: Final = frozenset(("probe", "knock", "roster", "claims", "spread"))
"""What everybody has to hear. The rest goes between those whose partitions changed hands."""
NAMES: Final = MappingProxyType(
    {
        (codes.MESSAGES, codes.HELLO): "link", (codes.SESSIONS, codes.HELLO): "link",
        (codes.RECEIPTS, codes.HELLO): "link", (codes.MESSAGES, codes.OPEN): "open",
        (codes.MESSAGES, codes.UNSERVED): "served", (codes.MESSAGES, codes.SERVED): "served",
        (codes.SESSIONS, codes.ONLINE): "announce",
    }
)  # fmt: skip
OTHER: Final = "routing"
OF_ROUTING: Final = frozenset((*NAMES.values(), OTHER))


def kind_of(channel: str, code: int) -> str:
    """By its channel and its first element."""
    if channel == GROUP:
        return messages.NAMES[code]
    if channel == CONTROL:
        return CONTROL_NAMES.get(code, CONTROL)
    return NAMES.get((channel, code), OTHER)
