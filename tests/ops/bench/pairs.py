"""What both pairs of nodes of `bench tables` are asked, and must have done."""

from ops.bench.latency import Latencies
from ops.bench.mnesia import MnesiaPair
from ops.bench.tables_plan import Expected, Load, Mode
from ops.bench.tables_waystation import WaystationPair

MODES: tuple[Mode, ...] = ("fill", "async", "sync", "durable", "transaction", "update")


def write_in_every_mode(pair: MnesiaPair | WaystationPair, expected: Expected) -> dict[Mode, int]:
    """A phase of each, 180 writes; after it both nodes hold what is expected. Gives how many of them were timed."""
    timed: dict[Mode, int] = {}
    for phase, mode in enumerate(MODES):
        load = Load(mode, phase, tables=2, keys=90, writers=6, writes=180)
        result = pair.run(load)
        expected.apply(load)
        assert pair.contents() == [expected.contents()] * 2
        assert 0 < result["issued_seconds"] <= result["seconds"]
        latencies = Latencies()
        latencies.merge(result["latencies"])
        if latencies.count:
            timed[mode] = latencies.count
    return timed
