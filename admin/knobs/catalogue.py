"""Which options of the configuration are knobs, and why the others take a restart.

The types, bounds and relations are those of the settings classes; nothing of them is repeated here. What an
option means is in docs/configuration.md. A test holds this list against the sections of the configuration:
every key is in it.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

_SOCKETS: Final = "the listening sockets are opened with it at the start"
_STORE: Final = "the tables are opened with it at the start"
_TOLD: Final = "phones are told of it when they connect, and what is in flight was counted against it"
_AGES: Final = (
    "it must keep its relation to what clients were promised and to what was swept with the old value"
)
_GATEWAY: Final = "the gateway is made of it at the start"
_MEMORY: Final = "the limits in memory are made of it at the start"
_ADMIN: Final = "the channel that would change it is made of it at the start"

KNOBS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "node.log": "the least that is logged: debug, info, warning or error",
        "mail.sync_delay_ms": "how long a message that was offered waits for its acknowledgement before it is written",
        "mail.sync_delay_ms_max": "how far that is drawn out by itself while messages are written in vain",
        "mail.flush_delay_ms": "how long acknowledgements gather before they are written",
        "mail.mailbox_messages_max": "messages that wait for one recipient",
        "mail.mailbox_bytes_max": "their bytes",
        "mail.pending_bytes_max": "bodies in memory before senders are told busy",
        "mail.commit_messages_max": "messages in one commit",
        "mail.commit_lag_ms_max": "how long a commit may take before senders are told busy",
        "mail.busy_retry_ms": "when who was told busy is to come again",
        "mail.full_retry_ms": "when who met a full mailbox is to come again",
        "mail.send_rate": "messages a second that one device may send, over time",
        "mail.send_burst": "messages that it may send at once",
        "mail.pairs_cached_max": "pairs in memory",
        "mail.loads_waiting_max": "events that wait until their pair is read",
        "mail.tell_unknown": "whether a sender learns that a number isn't registered",
        "session.hello_s": "from a connection to its hello",
        "session.login_s": "from hello to login",
        "session.ping_after_s": "silence after which a phone is pinged",
        "session.ping_wait_s": "how long it may take to answer",
        "session.logins_per_s_max": "logins in a second",
        "session.logins_waiting_max": "logins that wait for their turn",
        "session.agent": "what the node calls itself in its hello",
        "limits.connections_max": "connections in all",
        "limits.connections_per_address_max": "connections from one address",
        "limits.accepts_per_address_max": "new connections of one address in the window",
        "limits.accept_window_s": "that window",
        "limits.accepts_per_s_max": "new connections in a second",
        "limits.handshakes_per_s_max": "TLS handshakes in a second",
        "limits.events_per_pass_max": "ready sockets in one pass",
        "limits.accepts_per_pass_max": "new connections in one pass",
        "limits.handshakes_per_pass_max": "steps of TLS handshakes in one pass",
        "limits.handshake_queue_max": "handshakes that wait for a step",
        "limits.looks_per_pass_max": "connections whose time is up looked at in one pass",
        "limits.byes_per_pass_max": "farewells in one pass of a stop",
        "limits.turn_ms_max": "passes in a row before other tasks have their turn",
        "limits.soon_max": "calls that wait for the next pass",
        "limits.outbox_high_bytes": "above it a connection that doesn't read isn't read from",
        "limits.outbox_low_bytes": "below it, it is again",
        "limits.outbox_bytes_max": "above it, it is closed",
        "limits.handshake_s_max": "from a connection to the end of its TLS handshake",
        "limits.first_look_s": "from there to the first look",
        "limits.stall_s_max": "how long a connection may take no byte",
        "limits.linger_s_max": "for the last bytes of a connection that is closed",
        "limits.accept_pause_s": "pause when no connection can be taken",
        "limits.bye_retry_ms_max": "when phones are to come again after a stop, at most",
        "limits.trim_after_closes": "connections gone before memory is given back",
        "registration.open": "whether devices can register",
        "registration.requests_waiting_max": "registrations that wait for the store",
        "cluster.moves_per_s": "partitions that this member moves to where they are wanted in a second",
        "cluster.moves_max": "of them at once",
        "cluster.calm_ms": "how long members must have been the same before anything is moved by itself",
        "cluster.rebalance": "whether partitions are moved by themselves",
        "cluster.stop_moves_s": "how long this member hands over what it serves when it stops",
        "statistics.alarms.backlog": "alarm: entries in one queue",
        "statistics.alarms.backlog_share": "alarm: share of a queue's limit",
        "statistics.alarms.lag_s": "alarm: age of what has waited longest in one queue",
        "statistics.alarms.loop_lag_ms": "alarm: how late the loop is",
        "statistics.alarms.disk_share": "alarm: share of the disk in use",
        "statistics.alarms.disk_bytes": "alarm: bytes left on the disk",
        "statistics.alarms.memory_share": "alarm: share of the memory in use",
        "statistics.alarms.raise_after_s": "how long a threshold is passed before it is an alarm",
        "statistics.alarms.clear_after_s": "how long it must be well below before it is none any more",
        "statistics.alarms.clear_share": "how far below that is",
    }
)
"""Name → what it is, in a line."""

FIXED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "node.data": "it is where the running node's data are",
        "node.stop_grace_s": "the node took it at its start for its stop",
        "listen.*": _SOCKETS,
        "store.*": _STORE,
        "admin.*": _ADMIN,
        "mail.sync_first": "what is in memory was taken under the other rule",
        "mail.window": _TOLD,
        "mail.window_bytes": _TOLD,
        "mail.pair_share": _TOLD,
        "mail.client_retry_days": _AGES,
        "mail.message_age_days": _AGES,
        "mail.pair_retention_days": _AGES,
        "mail.sweep_interval_s": "the sweep was started with it",
        "mail.sweep_pairs": "the sweep was started with it",
        "limits.descriptors_reserved": "the room for connections was made with it",
        "limits.read_bytes_max": "the read buffer was made with it",
        "registration.gateway": _GATEWAY,
        "registration.webhook": _GATEWAY,
        "registration.command": _GATEWAY,
        "registration.*": _MEMORY,
        "cluster.listen": "its links to other nodes are bound to it; the node tells them when it has started again",
        "cluster.*": "the node took its place in the cluster with it at the start",
        "routing.*": "the router is made of it at the start",
        "shadow.*": "what live nodes tee to is opened with it at the start",
        "statistics.*": "the sampler, its file and its port are made of it at the start",
    }
)
"""Name, or section with a star → why it can't be changed in a running node."""


def reason(name: str) -> str:
    """Why an option takes a restart; "" if there is no option of that name."""
    return FIXED.get(name) or FIXED.get(f"{name.partition('.')[0]}.*", "")
