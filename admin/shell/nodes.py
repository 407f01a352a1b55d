"""The nodes that a terminal talks to: one connection to each, made when it is needed, and again after a restart."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from admin.channel.client import SILENCE_S_MAX, Client, Target
from admin.channel.errors import NotReached

Find = Callable[[], Target]
"""Where the node is now; a node that was started again may be elsewhere."""


class Nodes:
    """By name. `chosen`: whom the next commands are for.

    Several threads may ask, each a node of its own.
    """

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

    def ask(
        self,
        name: str,
        words: Sequence[str],
        item: Callable[[Any], None] | None = None,
        *,
        seconds_max: float = SILENCE_S_MAX,
        stop: Callable[[], bool] | None = None,
    ) -> Any:
        """As `Client.ask`. A connection that was lost before is made anew first; what was asked is never repeated."""
        client = self._clients.get(name)
        if client is not None and client.is_lost():
            self._clients.pop(name).close()
            client = None
        if client is None:
            client = self._clients[name] = Client(self._nodes[name]())
        try:
            return client.ask(words, item, seconds_max=seconds_max, stop=stop)
        except (NotReached, KeyboardInterrupt):
            if self._clients.get(name) is client:
                del self._clients[name]
            client.close()
            raise

    def forget(self, names: Sequence[str]) -> None:
        """Have new connections for these made: threads that nobody waits for any more may still be at the old ones."""
        for name in names:
            self._clients.pop(name, None)

    def close(self) -> None:
        while self._clients:
            self._clients.popitem()[1].close()
