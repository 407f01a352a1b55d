"""The other members of a cluster: is each reached where the roster says, and does it take this node's key.

A handshake of the links (CURVE) and nothing more: it proves both keys, and the member notices no more than a connection
that came and went.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Final

import zmq

from node.tables import GROUPS
from ops.doctor.finding import Finding, bad, good, skipped, warning
from ops.doctor.patient import Patient
from replication.identity import read_identity
from replication.membership.keeping import Kept
from replication.membership.member import ACTIVE, LEAVING, Member
from replication.tables import CLUSTER
from replication.zeromq.address import Address
from replication.zeromq.errors import AddressUnusable, LinkError
from replication.zeromq.keys import Keys, read_keys
from replication.zeromq.settings import LinkSettings
from replication.zeromq.sockets import ENDS, FAILED_HANDSHAKES, Sockets, event_of
from store.directory import MARKER
from store.errors import StoreError
from store.store import Store

ABOUT: Final = "peers"
WAIT_MS: Final = 3_000
_UP: Final = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)


def check(patient: Patient) -> Iterator[Finding]:
    listen = patient.config.cluster.listen if patient.config is not None else ""
    try:
        own, members = roster(patient)
    except (StoreError, LinkError, OSError, ValueError) as error:
        yield skipped(ABOUT, f"who the members are can't be read: {error}")
        return
    if not members:
        if listen:
            yield bad(
                ABOUT,
                f"cluster.listen is set, and {patient.data} belongs to no cluster",
                "begin one with `waystation cluster init`, or join one with `waystation cluster join`",
            )
        else:
            yield skipped(ABOUT, "this node stands alone")
        return
    if not listen:
        yield bad(
            ABOUT,
            f"{patient.data} is a member's of a cluster, and cluster.listen isn't set",
            "set it to this node's address: a member doesn't start alone",
        )
    there = [member for member in members if member.state in (ACTIVE, LEAVING)]
    yield good(
        ABOUT,
        f"{len(there)} members are known, with this node" if len(there) > 1 else "it is the only member",
    )
    yield from _labels(there)
    try:
        keys = read_keys(patient.data)
    except (LinkError, OSError) as error:
        yield bad(ABOUT, f"this node's key can't be used: {error}", "restore links.key from the last backup")
        return
    yield from (reach(member, keys) for member in there if member.node != own)


def roster(patient: Patient) -> tuple[bytes, list[Member]]:
    """This node's id, and all members that it knows, itself too. Raises StoreError, RowUnusable."""
    if not (patient.store / MARKER).is_file():
        return b"", []
    with Store.open(patient.store, GROUPS, read_only=True, beside=True, committer="inline") as store:
        identity = read_identity(store.group(CLUSTER.name))
        members = [row for row in Kept(store).read() if isinstance(row, Member)]
    return identity.node if identity is not None else b"", members


def _labels(members: list[Member]) -> Iterator[Finding]:
    active = [member for member in members if member.state == ACTIVE]
    servers = {member.stands_on for member in active}
    if len(active) > 1 and len(servers) == 1:
        yield warning(
            ABOUT,
            f"all {len(active)} members are on one server: both copies of a partition fail together",
            "run members on other servers, and set cluster.server of each to its server's name",
        )


def reach(member: Member, keys: Keys) -> Finding:
    """One handshake."""
    name = member.node.hex()
    if not member.address:
        return warning(
            ABOUT, f"{name} has told nobody where it is", "start it; if it is gone for good, remove it"
        )
    try:
        address = _numeric(Address.parse(member.address))
    except AddressUnusable as error:
        return bad(ABOUT, f"{name} is at {member.address}: {error.cause}", error.remedy)
    event = _handshake(address, member.key, keys)
    where = f"{name} at {member.address}"
    if event & _UP:
        return good(ABOUT, f"{where} is reached, and takes this node's key")
    if event & FAILED_HANDSHAKES:
        return bad(
            ABOUT,
            f"{where} refuses this node's key, or has another one than the roster says",
            "compare `waystation cluster status` on both; a node whose key was replaced must be told to all",
        )
    return warning(
        ABOUT,
        f"{where} isn't reached",
        "start it, or look at what lies between: firewall, cluster.address, the network",
    )


def _numeric(address: Address) -> Address:
    if address.path:
        return address
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise AddressUnusable(f"{address.host!r} isn't known: {error.strerror or error}") from None
    return Address(host=str(found[0][4][0]), port=address.port)


def _handshake(address: Address, server_key: str, keys: Keys) -> int:
    """The event that came of it; 0: none in time."""
    sockets = Sockets(keys, LinkSettings())
    sockets.start()
    try:
        raw = sockets.dealer(address, server_key)
        monitor = raw.get_monitor_socket(ENDS | FAILED_HANDSHAKES | _UP, "inproc://doctor")
        raw.connect(address.endpoint())
        event = event_of(monitor.recv_multipart()[0]) if monitor.poll(WAIT_MS) else 0
        raw.disable_monitor()
        monitor.close(linger=0)
    finally:
        sockets.end()
    return event
