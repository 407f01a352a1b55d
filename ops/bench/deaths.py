"""A node's end as phones see it, of a cluster of ours or of a peer's: the phones that were connected to it come back
elsewhere by the client library's rule, while others go on writing to them. How long until they are there again, until
the next message comes, and what has become of the messages that were sent meanwhile.

`killed`: the process ends, so that everybody's connections do. `stalled`: it stands still (SIGSTOP), as a machine does
that loses its network; nobody is told, but the phones, which leave at once, so that what is measured is the servers.
This module must never know what the nodes are.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import frozen

from ops.bench.plan import Dialect
from ops.bench.session import LoadError, now_us
from ops.bench.storm_figures import lost_messages, spread
from ops.bench.storm_fleet import Crowds, together
from ops.bench.storm_plan import Crowd, Order, Phone, Report, Told

End = Literal["killed", "stalled"]
ENDS: Final[tuple[End, ...]] = ("killed", "stalled")
PAIRS: Final = 40
RATE: Final = 10.0
"""Messages a second to each user whose node ends."""
SPREAD_S: Final = 0.2
"""Phones come back soon: what is measured is the service."""
PAUSE_US: Final = 50_000
"""What comes while the signal is on its way comes from the one that ends."""
LOGIN_S_MAX: Final = 60.0
CALM_S: Final = 2.0
"""Before, and when everybody is back."""
BACK_S_MAX: Final = 100.0
"""Erlang takes up to 75 s to believe that a silent node is down (kernel, net_ticktime)."""
REST_S: Final = 5.0
BODY_BYTES: Final = 120


@frozen
class Doomed:
    """port: of the node that ends; others: of those that live. end: what makes it so."""

    dialect: Dialect
    port: int
    others: Sequence[int]
    end: Callable[[], object]


def crowd_of(doomed: Doomed, pairs: int) -> Crowd:
    """Users 2n, at nodes that live, write to users 2n + 1, at the one that ends."""
    phones = []
    for place in range(pairs):
        at = doomed.others[place % len(doomed.others)]
        phones += [Phone(2 * place, at, 2 * place + 1), Phone(2 * place + 1, doomed.port)]
    return Crowd(
        tuple(phones),
        ports=tuple(doomed.others),
        rate=RATE,
        body_bytes=BODY_BYTES,
        logins_parallel=16,
        seed=0,
        nice=0,
        cut_spread=SPREAD_S,
        dialect=doomed.dialect,
    )


def measure(doomed: Doomed, end: End, pairs: int = PAIRS) -> dict[str, Any]:
    """Let it end, and see.

    Raises:
        LoadError: phones weren't logged in, or never came back.
    """
    everybody = 2 * pairs
    with Crowds.of([crowd_of(doomed, pairs)]) as fleet:
        if not fleet.wait(lambda one: one.online == everybody, LOGIN_S_MAX):
            raise LoadError(f"not everybody was logged in after {LOGIN_S_MAX:.0f} s")
        fleet.order(Order("begin"))
        time.sleep(CALM_S)
        at = now_us()
        doomed.end()
        if end == "stalled":
            fleet.order(Order("leave", ports=(doomed.port,)))
        else:
            fleet.wait(lambda one: one.online < everybody, LOGIN_S_MAX)
        back = fleet.wait(lambda one: one.online == everybody, BACK_S_MAX)
        time.sleep(CALM_S)
        fleet.order(Order("end"))
        fleet.wait(lambda one: not one.open, REST_S)
        told = together(fleet.order(Order("tell")))
    if not back:
        raise LoadError(f"only {told.online} of {everybody} phones were back after {BACK_S_MAX:.0f} s")
    return figures(told, at)


def figures(told: Report, at: int) -> dict[str, Any]:
    """Seconds from the end `at`, and what became of messages."""
    lost = [one for one in told.messages if not one.delivered]
    return {
        "pairs": len(told.returns),
        "back_s": spread([(one.back - at) / 1e6 for one in told.returns if one.back]),
        "next_deliver_s": spread(list(_next_deliver(told.messages, at).values())),
        **lost_messages(told.messages),
        "not_delivered": len(lost),
        "not_delivered_and_returned": sum(bool(one.returned) for one in lost),
        "repeated": told.repeated,
        "disordered": told.disordered,
    }


def _next_deliver(messages: Sequence[Told], at: int) -> Mapping[int, float]:
    """By sender, and each writes to one: seconds until something came."""
    found: dict[int, float] = {}
    for one in messages:
        if one.delivered > at + PAUSE_US:
            seconds = (one.delivered - at) / 1e6
            found[one.sender] = min(seconds, found.get(one.sender, seconds))
    return found
