"""What must hold of a hub's parts, taken together, between two turns. For tests; state only, no I/O."""

from __future__ import annotations

from node.hub.admission import Admission
from node.hub.closing import Closer
from node.hub.connection import BLOCKED, HANDSHAKE, Connection
from node.hub.counters import Counters
from node.hub.pollset import PollSet


def check_parts(pollset: PollSet, admission: Admission, closer: Closer, counters: Counters) -> None:
    """Raise AssertionError if the parts disagree about which connections there are, and in which state."""
    admission.check()
    pollset.check()
    there = [entry for entry in pollset.entries if isinstance(entry, Connection)]
    for connection in there:
        connection.check()
    assert len(there) == counters.connections == admission.connections
    assert counters.handshaking == sum(bool(connection.flags & HANDSHAKE) for connection in there)
    assert set(closer.blocked) == {each for each in there if each.flags & BLOCKED}
    assert counters.accepted == counters.connections + closer.released
