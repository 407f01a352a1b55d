"""The nodes that a shell talks to: one connection to each, made when it is needed, and again after a restart."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from admin.channel.client import Client, Target
from admin.channel.errors import NotReached

Find = Callable[[], Target]
"""Where the node is now; a node that was started again may be elsewhere."""


class Nodes:
    """By name. `chosen`: whom the next commands are for."""

    def __init__(self, nodes: Mapping[str, Find]) -> None:
        assert nodes
        self._nodes = dict(nodes)
        self._clients: dict[str, Client] = {}
        self.chosen: tuple[str, ...] = tuple(nodes)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._nodes)

    def choose(self, name: str) -> bool:
        """One of them, or all; False: there is none of that name."""
        if name == "all":
            self.chosen = self.names
        elif name in self._nodes:
            self.chosen = (name,)
        else:
            return False
        return True

    def ask(self, name: str, words: Sequence[str], item: Callable[[Any], None]) -> Any:
        """As `Client.ask`. A connection that was lost before is made anew first; what was asked is never repeated."""
        client = self._clients.get(name)
        if client is not None and client.is_lost():
            self._clients.pop(name).close()
            client = None
        if client is None:
            client = self._clients[name] = Client(self._nodes[name]())
        try:
            return client.ask(words, item)
        except (NotReached, KeyboardInterrupt):
            self._clients.pop(name).close()
            raise

    def close(self) -> None:
        while self._clients:
            self._clients.popitem()[1].close()
