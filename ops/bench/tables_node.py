"""A node with replicated tables that writes what it is told: `python -m ops.bench.tables_node PLAN`.

Its coordinator is `ops.bench.tables_waystation`. Orders are JSON objects on stdin, one to a line; each is answered with
one line on stdout that begins with `@`. It ends at the end of its input.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import trio
from attrs import asdict, evolve, frozen

from ops.bench.tables_plan import Contents, Load, contents_of
from ops.bench.tables_writers import TABLE, Phase
from ops.run import GC_GENERATION_0, SWITCH_INTERVAL_S
from replication.cluster import Cluster
from replication.clustersettings import STORE, ClusterSettings, Neighbour, node_of
from replication.opening import open_cluster
from replication.placed import Placed
from replication.replicated import ReplicatedGroup
from replication.schema.declared import NAME as SCHEMA
from replication.zeromq.keys import ensure_keys
from store.schema import Group, Table

SPARE_BYTES: Final = 128 << 20
"""Set as by who wants many writes a second and has the disk for it; a member's own default is 0, off."""
_CHUNK_ROWS: Final = 5_000
_LOOK_SECONDS: Final = 0.001


@frozen
class Plan:
    """What the coordinator says on the command line.

    Attributes:
        name: this node; nodes: name → port of all, the writing one first.
        path: the node's directory.
    """

    name: str
    path: str
    tables: int
    storage: str
    nodes: dict[str, int]

    def groups(self, keys: Mapping[str, str]) -> list[Placed]:
        """A group for each table; the first node is the primary of all."""
        storage: Any = self.storage
        table = Table(TABLE, storage=storage, partitioned=False, tombstones=True)
        nodes = tuple(node_of(keys[name]) for name in self.nodes)
        return [
            Placed(group=Group(f"table_{number}", (table,)), nodes=nodes) for number in range(self.tables)
        ]

    def settings(self, keys: Mapping[str, str]) -> ClusterSettings:
        """What a member of the cluster is told."""
        members = [
            Neighbour(key=keys[name], address=f"127.0.0.1:{port}", server=name)
            for name, port in self.nodes.items()
        ]
        store = evolve(STORE, spare_bytes=SPARE_BYTES)
        return ClusterSettings(data=Path(self.path), name="bench", members=tuple(members), store=store)


class Server:
    """One node, from its first order to the end of its input."""

    def __init__(self, plan: Plan, stack: AsyncExitStack) -> None:
        self._plan = plan
        self._stack = stack
        self._cluster: Cluster | None = None

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out one order."""
        what = order.pop("do")
        found: dict[str, Any] = await getattr(self, f"do_{what}")(**order)
        return found

    @property
    def _groups(self) -> list[ReplicatedGroup]:
        assert self._cluster is not None
        return [group for name, group in self._cluster.groups.items() if name != SCHEMA]

    async def do_open(self, keys: dict[str, str]) -> dict[str, Any]:
        """Open the store and join the other node."""
        began = time.monotonic()
        plan = self._plan
        self._cluster = await self._stack.enter_async_context(
            open_cluster(plan.settings(keys), plan.groups(keys))
        )
        return {"began": began}

    async def do_complete(self) -> dict[str, Any]:
        """Wait until the other node has everything that this one has."""
        await _until(lambda: all(map(complete, self._groups)))
        return {"at": time.monotonic()}

    async def do_alone(self) -> dict[str, Any]:
        """Wait until this node serves without the other."""
        await _until(lambda: all(heir_of(group) is None for group in self._groups))
        return {}

    async def do_write(self, load: dict[str, Any]) -> dict[str, Any]:
        """Make the writes of a phase."""
        return await Phase(Load(**load), self._groups).run()

    async def do_contents(self) -> dict[str, Any]:
        """What is here."""
        records = digest = 0
        for group in self._groups:
            low: tuple[int, ...] | None = (0,)
            while low is not None:
                part, low = _part(group, low)
                records, digest = records + part.records, digest + part.digest
                await trio.lowlevel.checkpoint()  # a node that stands still is taken for a dead one
        return asdict(Contents(records, digest % (1 << 64)))

    async def do_statistics(self) -> dict[str, Any]:
        """For those who look into it."""
        assert self._cluster is not None
        return json.loads(json.dumps(self._cluster.statistics(), default=str))  # type: ignore[no-any-return]

    async def do_close(self) -> dict[str, Any]:
        """Leave the cluster and close the store."""
        await self._stack.aclose()
        return {}


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110  # nobody tells
        await trio.sleep(_LOOK_SECONDS)


def heir_of(group: ReplicatedGroup) -> bytes | None:
    """Who else has each write of a group before it is settled."""
    claim = group.carrier.state.parts[0].claim
    return None if claim is None else claim.heir


def complete(group: ReplicatedGroup) -> bool:
    """Whether the heir is known to have everything that is committed here."""
    state = group.carrier.state
    heir = heir_of(group)
    if heir not in state.peers or not group.serves(0) or not state.parts[0].heir_live:
        return False
    stream = state.peers[heir].stream
    return not stream.lagging and not stream.inflight and state.sequence == group.group.sequence


def _part(group: ReplicatedGroup, low: tuple[int, ...]) -> tuple[Contents, tuple[int, ...] | None]:
    """Some records from a key on, and where the next ones begin."""
    with group.group.snapshot() as reader:
        found = reader.range(TABLE, low, limit=_CHUNK_ROWS)
    contents = contents_of((key, value) for (key,), value in found)
    return contents, (found[-1][0][0] + 1,) if len(found) == _CHUNK_ROWS else None


async def serve(plan: Plan) -> None:
    """Obey until the end of input."""
    async with AsyncExitStack() as stack, trio.lowlevel.FdStream(0) as orders:
        server = Server(plan, stack)
        unread = b""
        async for some in orders:
            unread += some
            while b"\n" in unread:
                line, _, unread = unread.partition(b"\n")
                try:
                    answer(await server.obey(json.loads(line)))
                except Exception as error:
                    answer({"error": repr(error)})
                    raise


def answer(fields: dict[str, Any]) -> None:
    """One line for the coordinator."""
    sys.stdout.write(f"@{json.dumps(fields)}\n")
    sys.stdout.flush()


def main() -> None:
    """Run one node."""
    plan = Plan(**json.loads(sys.argv[1]))
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.freeze()
    gc.set_threshold(GC_GENERATION_0, 20, 100)
    path = Path(plan.path)
    path.mkdir(parents=True, exist_ok=True)
    answer({"key": ensure_keys(path).public})
    trio.run(serve, plan)


if __name__ == "__main__":
    main()
