"""Which nodes a command of the terminal is for: those that were named, or all of a list."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

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
    all of a list that was named, or else the directory `data`.

    Args:
        place: where the list is; empty: where lists usually are.
        key, node_key: go before those of the list.

    Raises:
        RosterUnusable, OSError: the list can't be used.
    """
    listed: tuple[Entry, ...] = ()
    named = bool(place or environment.get(VARIABLE))
    every = every or (named and not names)
    names = names or (HERE,)
    if every or named:
        listed = list_nodes(place_of_nodes(place, environment))
    by_name = {entry.name: entry for entry in listed}
    chosen = listed if every else tuple(by_name.get(name) or Entry.alone(name) for name in names)
    return tuple(
        Entry(one.name, one.at, key or one.key, (node_key if not every else "") or one.node_key)
        for one in chosen
    )
