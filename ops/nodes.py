"""Which nodes a command of the terminal is for: those that were named; all of a list; all members of a cluster."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from admin.channel.members import with_members
from admin.channel.place import is_address
from admin.channel.roster import VARIABLE, Entry, list_nodes, place_of_nodes

HERE: Final = "data"


def entries_of(
    names: Sequence[str],
    *,
    every: bool,
    place: str = "",
    key: Path | None = None,
    node_key: str = "",
    environment: Mapping[str, str] = os.environ,
) -> tuple[Entry, ...]:
    """The nodes of the list that have these names, or all; what isn't in the list is a directory or an address.

    The list is looked at only if it was named (by an option or the environment), or all are meant. Without names it is
    all of a list that was named, or else the directory `data`. All are the members of the clusters that the named ones
    are of; without names, of the list's. A list that is a file is taken as it is: it says who is meant.

    Args:
        place: where the list is, or the address of one member; empty: where lists usually are.
        key, node_key: go before those of the list.

    Raises:
        RosterUnusable, OSError: the list can't be used.
    """
    named = bool(place or environment.get(VARIABLE))
    listed: tuple[Entry, ...] = ()
    written = False
    if named or (every and not names):
        at = place_of_nodes(place, environment)
        listed, written = _listed(at, node_key), at.is_file()
    if key is not None:
        listed = tuple(attrs.evolve(one, key=key) for one in listed)
    if not names and (named or every):
        return with_members(listed) if every and not written else listed
    by_name = {entry.name: entry for entry in listed}
    chosen = [by_name.get(name) or Entry.alone(name, key) for name in names or (HERE,)]
    chosen = [attrs.evolve(one, node_key=node_key or one.node_key) for one in chosen]
    return with_members(chosen, listed) if every else tuple(chosen)


def _listed(at: Path, node_key: str) -> tuple[Entry, ...]:
    """A list of one is named by the address of a node elsewhere."""
    if not at.exists() and is_address(str(at)):
        return (Entry.alone(str(at), node_key=node_key),)
    return list_nodes(at)
