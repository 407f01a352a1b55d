"""From one member of a cluster to all: any of them knows where the others are operated, and by which keys.

Who asks must be allowed at each node, as ever; here it is only found out where they are. Members on this machine are
found by their data directories, so their own key `local` opens them. This module must never ask a node for more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs

from admin.channel.client import Client
from admin.channel.errors import ChannelError, Refused, RosterUnusable
from admin.channel.folder import Folder
from admin.channel.messages import Malformed
from admin.channel.roster import NODES_MAX, Entry
from replication.zeromq.address import IPC
from replication.zeromq.errors import LinkError

ASKED: Final = ("cluster", "members")
ASK_S: Final = 5.0
NAME_DIGITS: Final = 8
"""Of a member's id: what it is called that is in no list."""
_TOLD: Final = (ChannelError, LinkError, Malformed, Refused, OSError)


def with_members(known: Sequence[Entry], listed: Sequence[Entry] = ()) -> tuple[Entry, ...]:
    """These nodes, and every other member of the clusters that they are of, by name. One that gives no answer, or
    stands alone, stays as it is.

    Args:
        listed: how members are called and reached that are in a list.

    Raises:
        RosterUnusable: they are more than can be asked at one time.
    """
    entries: dict[str, Entry] = {}
    by_key = {key: entry for entry in (*listed, *known) if (key := _key_of(entry))}
    met: set[str] = set()
    for entry in known:
        key = _key_of(entry)
        if key and key in met:
            continue  # a former one has told of it
        me, rows = _told(entry)
        if me and entry.name == entry.at:
            entry = by_key[key] = attrs.evolve(entry, name=me)  # so it has a name as the others have
        entries[entry.name] = entry
        for name, row in rows:
            met.add(row["admin_key"])
            one = by_key.get(row["admin_key"]) or _entry(name, row, entry)
            entries[one.name] = one
    if len(entries) > NODES_MAX:
        raise RosterUnusable(f"there are {len(entries)} members; {NODES_MAX} can be asked at one time")
    return tuple(sorted(entries.values(), key=lambda entry: entry.name))


def _key_of(entry: Entry) -> str:
    """The public key by which a node is known."""
    if entry.directory is None or entry.node_key:
        return entry.node_key
    try:
        return Folder.of(entry.directory).node_public.read_text("utf-8").strip()
    except OSError:
        return ""


def _told(entry: Entry) -> tuple[str, list[tuple[str, Mapping[str, Any]]]]:
    """What a member is called; and of the others, as it has them, what each is called and its row. Nothing if it can't
    be asked, or stands alone."""
    try:
        with Client(entry.target()) as client:
            told = client.ask(ASKED, seconds_max=ASK_S)
    except _TOLD:
        return "", []  # whoever asks it for something else is told why
    rows = {row["node"]: row for row in told["members"]}
    begun = Counter(node[:NAME_DIGITS] for node in rows)
    names = {node: node[:NAME_DIGITS] if begun[node[:NAME_DIGITS]] == 1 else node for node in rows}
    return names.get(told["node"], ""), [
        (names[node], row) for node, row in rows.items() if node != told["node"]
    ]


def _entry(name: str, row: Mapping[str, Any], asked: Entry) -> Entry:
    """A member that is in no list, asked with the same key as the one that has told of it."""
    at, key = row["admin"], row["admin_key"]
    if not at:
        return Entry(name, at, unreached=f"member {name} doesn't say where it is operated")
    if at.startswith(IPC):
        return _here(name, Path(at.removeprefix(IPC)), key, asked.key)
    own = Folder.of(asked.directory).local_key if asked.directory is not None else None
    return Entry(name, at, asked.key or own, key)


def _here(name: str, socket: Path, public: str, key: Path | None) -> Entry:
    """One that is operated on its own machine only, which may be this one."""
    data = socket.parent.parent
    try:
        if Folder.of(data).node_public.read_text("utf-8").strip() == public:
            return Entry(name, str(data), key)
        is_here = socket.is_socket()
    except OSError:
        is_here = False
    if is_here and key is not None:
        return Entry(name, f"{IPC}{socket}", key, public)
    return Entry(name, str(socket), unreached=f"member {name} is operated on its own machine only")
