"""Two network namespaces with a cable between them, so that clients can vanish without a FIN.

Nothing of the machine's own network is touched: both ends of the veth pair live in namespaces of ours, which end
with the processes that hold them. It must never know what runs inside.
"""

from __future__ import annotations

from types import TracebackType
from typing import Final, Self

from ops.faults.namespace import Namespace

NODE_ADDRESS: Final = "10.213.77.1"
CLIENT_ADDRESS: Final = "10.213.77.2"


class Network:
    """Enter it to have the namespaces; `node` and `clients` are prefixes for commands to run inside.

    Raises:
        UnavailableError: not root, a tool is missing, or the kernel doesn't let us.
    """

    def __init__(self) -> None:
        self._ends: list[Namespace] = []
        self._cut = False

    def __enter__(self) -> Self:
        try:
            self._lay()
        except BaseException:
            self._end()
            raise
        return self

    def _lay(self) -> None:
        for _ in range(2):
            self._ends.append(Namespace())
        here, there = self._ends
        here.ip("link", "add", "ws0", "type", "veth", "peer", "name", "ws0", "netns", str(there.pid))
        for end, address in ((here, NODE_ADDRESS), (there, CLIENT_ADDRESS)):
            end.ip("link", "set", "lo", "up")
            end.ip("address", "add", f"{address}/30", "dev", "ws0")
            end.ip("link", "set", "ws0", "up")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def node(self) -> list[str]:
        """Run this prefix with a command to run it where the node is."""
        return self._ends[0].prefix

    @property
    def clients(self) -> list[str]:
        """Run this prefix with a command to run it at the other end of the cable."""
        return self._ends[1].prefix

    def cut(self) -> None:
        """Pull the cable: packets vanish both ways, and nobody is told."""
        self._ends[1].ip("link", "set", "ws0", "down")
        self._cut = True

    def heal(self) -> None:
        """Put it back."""
        if self._cut:
            self._ends[1].ip("link", "set", "ws0", "up")
            self._cut = False

    def _end(self) -> None:
        for end in self._ends:
            end.end()
