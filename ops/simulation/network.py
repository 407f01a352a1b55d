"""The virtual network: messages between nodes, late, lost, doubled, overtaken or held back, as the seed says.

A message is encoded when it is sent and decoded when it arrives, so nothing leaks from one node to another. Messages of
one channel between two nodes keep their order, as on one ZeroMQ connection, until the link is told to reorder; channels
overtake one another. What is sent into a cut link is lost, or held back and delivered after the cut heals, as TCP and
ZeroMQ's queues do. Nothing is ever altered.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Collection
from typing import Any, Final

import attrs
import cbor2

from ops.simulation.clock import Clock

HELD_MAX: Final = 200
"""Messages that a cut link holds back; further ones are lost."""

IN_FLIGHT_MAX: Final = 2_000
"""Messages under way on one link; beyond it `send` refuses, as a full ZeroMQ queue does."""


@attrs.frozen(slots=True)
class Weather:
    """How a link treats its messages. Shares are of 1; delays in milliseconds."""

    loss: float = 0.0
    double: float = 0.0
    reorder: bool = False
    delay_min: int = 1
    delay_max: int = 3


class Link:
    """One direction between two nodes."""

    __slots__ = ("cut", "hand", "held", "in_flight", "last", "weather")

    def __init__(self, seed: str, weather: Weather) -> None:
        self.hand = random.Random(seed)
        self.weather = weather
        self.cut = False
        self.held: deque[tuple[str, bytes]] = deque()
        self.in_flight = 0
        self.last: dict[str, int] = {}  # channel → when its latest message arrives


class Network:
    """All links of a world.

    Args:
        deliver: (receiver, sender, channel, message) of what arrives.
    """

    __slots__ = ("_clock", "_deliver", "_links", "_weather", "counts")

    def __init__(
        self,
        seed: int,
        nodes: int,
        clock: Clock,
        weather: Weather,
        deliver: Callable[[int, int, str, Any], None],
    ) -> None:
        self._clock = clock
        self._deliver = deliver
        self._weather = weather
        self._links = {
            (a, b): Link(f"link {seed} {a} {b}", weather)
            for a in range(nodes)
            for b in range(nodes)
            if a != b
        }
        self.counts = dict.fromkeys(("sent", "delivered", "lost", "doubled", "held", "refused", "bytes"), 0)

    # ---- what nodes do ------------------------------------------------------------------------------

    def send(self, sender: int, receiver: int, channel: str, message: Any) -> bool:
        """Put a message under way; False if the link takes no more now. True promises nothing."""
        link = self._links[sender, receiver]
        counts = self.counts
        if link.in_flight >= IN_FLIGHT_MAX:
            counts["refused"] += 1
            return False
        data = cbor2.dumps(message)
        counts["sent"] += 1
        counts["bytes"] += len(data)
        chance = link.hand.random()
        if link.cut:
            if chance < 0.5 or len(link.held) >= HELD_MAX:
                counts["lost"] += 1
            else:
                counts["held"] += 1
                link.held.append((channel, data))
            return True
        weather = link.weather
        if chance < weather.loss:
            counts["lost"] += 1
            return True
        self._depart(sender, receiver, link, channel, data)
        if chance > 1 - weather.double:
            counts["doubled"] += 1
            self._depart(sender, receiver, link, channel, data)
        return True

    def _depart(self, sender: int, receiver: int, link: Link, channel: str, data: bytes) -> None:
        weather = link.weather
        span = weather.delay_max - weather.delay_min
        arrival = self._clock.now + weather.delay_min + (int(link.hand.random() * (span + 1)) if span else 0)
        if not weather.reorder:
            arrival = link.last[channel] = max(arrival, link.last.get(channel, 0))
        link.in_flight += 1
        self._clock.after(arrival - self._clock.now, self._arrive, sender, receiver, link, channel, data)

    def _arrive(self, sender: int, receiver: int, link: Link, channel: str, data: bytes) -> None:
        link.in_flight -= 1
        if link.cut:
            self.counts["lost"] += 1
            return
        self.counts["delivered"] += 1
        self._deliver(receiver, sender, channel, cbor2.loads(data))

    def is_whole_among(self, nodes: Collection[int]) -> bool:
        """Whether no link between these is cut, and all are in the weather that all were given last."""
        return not any(
            link.cut or link.weather is not self._weather
            for (a, b), link in self._links.items()
            if a in nodes and b in nodes
        )

    def is_cut(self, a: int, b: int) -> bool:
        """Whether nothing gets through in one direction, or in both."""
        return self._links[a, b].cut or self._links[b, a].cut

    # ---- what happens to links ----------------------------------------------------------------------

    def cut(self, sender: int, receiver: int) -> None:
        """Nothing gets through in this direction."""
        self._links[sender, receiver].cut = True

    def mend(self, sender: int, receiver: int) -> None:
        """It does again; what was held back goes on its way."""
        link = self._links[sender, receiver]
        link.cut = False
        while link.held:
            self._depart(sender, receiver, link, *link.held.popleft())

    def split(self, side: frozenset[int]) -> None:
        """Nothing gets through between those nodes and the others, either way."""
        for (a, b), link in self._links.items():
            if (a in side) != (b in side):
                link.cut = True

    def set_weather(self, sender: int, receiver: int, weather: Weather) -> None:
        """How messages fare from now on."""
        self._links[sender, receiver].weather = weather

    def heal(self, weather: Weather) -> None:
        """All links as new."""
        self._weather = weather
        for (a, b), link in self._links.items():
            link.weather = weather
            self.mend(a, b)
