"""`waystation bench events`: how many messages an event costs a cluster, and how that grows with its nodes.

A node dies with its machine (silence tells) or is killed (refusals tell), one joins, a partition is handed over; at
each number of nodes the messages of all nodes are counted, until everybody knows and everything is served; and what is
said when nothing happens. Then the exponent is fitted: 1.0 is in proportion to nodes, 2.0 to their square. Only cores
run, in one process (`events_world`), so figures are the same on every machine.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Final

from cyclopts import App, Parameter

from ops.bench.events_kinds import OF_NODES, OF_ROUTING
from ops.bench.events_world import World
from ops.bench.screen import print_result

app = App(name="events", help="How many messages an event costs a cluster, at growing numbers of nodes.")

NODES: Final = (3, 10, 30, 100)
PARTITIONS: Final = 64
EVENTS: Final = ("hand_over", "come", "die", "kill")
REST: Final = "rest"
REST_MS: Final = 4_000


def count(nodes: int, partitions: int) -> dict[str, dict[str, Any]]:
    """What each event costs at one number of nodes: messages, those that everybody has to hear, those of routing,
    milliseconds; and what is said a second at rest."""
    world = World(nodes, partitions)
    world.settle()
    found: dict[str, dict[str, Any]] = {}
    said = world.at_rest(REST_MS)
    found[REST] = {
        "messages_per_s": said.total() * 1_000 / REST_MS,
        "messages_per_s_of_a_node": said.total() * 1_000 / REST_MS / nodes,
        "kinds": dict(sorted(said.items())),
    }
    for event in EVENTS:
        if event == "kill":  # a member that is dead already would be asked for meanwhile
            world = World(nodes, partitions)
            world.settle()
        said, took = world.counted(getattr(world, event))
        found[event] = {
            "messages": said.total(),
            "of_nodes": sum(count for kind, count in said.items() if kind in OF_NODES),
            "of_routing": sum(count for kind, count in said.items() if kind in OF_ROUTING),
            "kinds": dict(sorted(said.items())),
            "took_ms": took,
        }
    return found


def exponent(points: Sequence[tuple[int, float]]) -> float:
    """Of the power of nodes that fits best: least squares of logarithms."""
    xs = [math.log(x) for x, _ in points]
    ys = [math.log(y) for _, y in points]
    mean_x, mean_y = sum(xs) / len(xs), sum(ys) / len(ys)
    rise = sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return rise / sum((x - mean_x) ** 2 for x in xs)


def fitted(counted: dict[int, dict[str, dict[str, Any]]]) -> dict[str, dict[str, float]]:
    """The exponents of each event, and at rest; not of what wasn't said at some number of nodes."""

    def of(event: str, which: str) -> float:
        return round(exponent([(nodes, found[event][which]) for nodes, found in counted.items()]), 3)

    found = {
        event: {
            which: of(event, which)
            for which in ("messages", "of_nodes", "of_routing")
            if all(one[event][which] for one in counted.values())
        }
        for event in EVENTS
    }
    found[REST] = {which: of(REST, which) for which in ("messages_per_s", "messages_per_s_of_a_node")}
    return found


@app.default
def events(
    *,
    nodes: Annotated[tuple[int, ...], Parameter(help="Numbers of nodes.")] = NODES,
    partitions: Annotated[int, Parameter(help="Partitions, however many nodes there are.")] = PARTITIONS,
    json: Annotated[bool, Parameter(help="Print the result as JSON.", negative="")] = False,
) -> None:
    """Count what deaths, a join and a change of hands cost at each number of nodes, and fit the exponents."""
    counted: dict[int, dict[str, dict[str, Any]]] = {}
    for number in nodes:
        counted[number] = count(number, partitions)
        if not json:
            for event in EVENTS:
                found = counted[number][event]
                print(f"{number:5} nodes  {event:10} {found['messages']:7} messages  {found['took_ms']:6} ms")
    exponents = fitted(counted)
    if json:
        print_result({"partitions": partitions, "events": counted, "exponents": exponents}, as_json=True)
        return
    for event in EVENTS:
        print(f"{event:10} messages grow as nodes to the power of {exponents[event]['messages']:.2f}")
    print(
        f"{REST:10} a node's messages grow as nodes to the power of {exponents[REST]['messages_per_s_of_a_node']:.2f}"
    )
