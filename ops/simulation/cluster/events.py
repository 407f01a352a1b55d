"""What edges take from phones and answer, as events."""

from __future__ import annotations

from typing import NamedTuple


class Asked(NamedTuple):
    """An edge takes a message or a skip from a session. `session`: a number of the world's own."""

    edge: int
    session: int
    recipient: int
    n: int


class Answered(NamedTuple):
    """An edge answers numbers first..last of a pair; `upwards`: and whatever was asked above them."""

    edge: int
    session: int
    recipient: int
    first: int
    last: int
    upwards: bool
    word: str


class Ended(NamedTuple):
    """A session is no more."""

    session: int


class Seated(NamedTuple):
    """A session has logged in, and was given this."""

    session: int
    user: int
    login: tuple[int, int]


class Superseded(NamedTuple):
    """A session is ended, since its user is said to have a later one."""

    session: int
    user: int
    login: tuple[int, int]


class Spoken(NamedTuple):
    """A phone's frame has come to its edge."""

    edge: int
    verb: str


class Carried(NamedTuple):
    """A node's router has something put under way to another one's."""

    node: int
    channel: str


class Connected(NamedTuple):
    """A connection between routers is new."""

    node: int
    channel: str


class Belongs(NamedTuple):
    """A node runs as a member of the cluster."""

    node: int


class Parted(NamedTuple):
    """A node has left the cluster, for good."""

    node: int


class TurnedAway(NamedTuple):
    """A node doesn't hear another one: its key is no member's, or it takes this node for another."""

    node: int
    peer: int
    key: str


class LetIn(NamedTuple):
    """A node hears whoever comes with this key, as the other one."""

    node: int
    peer: int
    key: str


class Afar(NamedTuple):
    """A node says something to one of another cluster."""

    node: int
    peer: int


class Assigned(NamedTuple):
    """An operator asks a node to give partitions to a cluster; or, `done`, was told that they are."""

    node: int
    partitions: tuple[int, ...]
    label: str
    done: bool


class Requested(NamedTuple):
    """A node is asked for something of a user's account. `number`: of the world's own."""

    number: int
    edge: int
    what: str
    user: int


class Replied(NamedTuple):
    """It has answered, whatever that was."""

    number: int


class Granted(NamedTuple):
    """A phone is told, by the node that it has asked, that a number is its device's."""

    edge: int
    user: int
    generation: int
    key: bytes


class CalledEnded(NamedTuple):
    """A node takes a peer's process for ended, by what it and others found where that one listened. others: members of
    the peer's cluster of whom one could be asked; those of other clusters mostly don't know it."""

    node: int
    peer: int
    boot: bytes | None
    others: int
