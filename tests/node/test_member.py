"""A member of a cluster in this process, with phones of the client library: what a node had that stood alone is there,
and everything that it counts is known by name."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from admin.statistics import sampler
from admin.statistics.catalogue import CATALOGUE
from admin.statistics.figures import UNKNOWN
from admin.statistics.series import SamplerState
from client.client import Client
from client.trust import Plain
from node.founding import Place, found
from node.hub.settings import ListenerSettings
from node.membersettings import MemberSettings
from node.running import NodeSettings, Running, Surroundings, run_node
from ops.bench.node_process import free_ports
from replication.clustersettings import ClusterSettings
from replication.zeromq.address import Address
from replication.zeromq.settings import LinkSettings
from store.limits import StoreSettings
from tests.node.live import ADDRESS, Output

ALICE, BOB = "+15551230001", "+15551230002"
GIVE_UP_S = 30.0
STORE = StoreSettings(map_bytes=1 << 28, linger_ms=0)


class House:
    """A directory, a port, and whoever lives there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.port, self.links = free_ports(2)
        self.output = Output()

    @property
    def member(self) -> MemberSettings:
        links = LinkSettings(listen=Address.parse(f"{ADDRESS}:{self.links}"))
        return MemberSettings(cluster=ClusterSettings(data=self.data, name="", links=links))

    def client(self, name: str) -> Any:
        return Client.open(self.folder / f"{name}.state", f"{ADDRESS}:{self.port}", tls=Plain())

    async def register(self, phone: Client, number: str) -> None:
        await phone.request_pin(number)
        await phone.register(await self.output.pin(int(number[1:])))

    async def run(self, member: MemberSettings | None, live: Callable[[Running], Awaitable[None]]) -> None:
        """A node's life, from its start to its graceful end."""
        listener = ListenerSettings(ADDRESS, self.port, None, name="plain")
        settings = NodeSettings(data=self.data, listeners=(listener,), store=STORE, member=member)
        stop, ready = trio.Event(), trio.Event()
        started: list[Running] = []

        def is_ready(running: Running) -> None:
            started.append(running)
            ready.set()

        with trio.fail_after(GIVE_UP_S):
            async with trio.open_nursery() as nursery:

                async def node() -> None:
                    world = Surroundings(output=self.output)
                    await run_node(settings, is_ready, stop, surroundings=world)

                nursery.start_soon(node)
                await ready.wait()
                await live(started[0])
                stop.set()


async def test_what_waited_on_a_node_that_stood_alone_waits_on_the_clusters_first(tmp_path: Path) -> None:
    house = House(tmp_path)

    async def before(_: Running) -> None:
        async with house.client("bob") as bob:
            await house.register(bob, BOB)
        async with house.client("alice") as alice:
            await house.register(alice, ALICE)
            for n in range(3):
                await (await alice.send_text(BOB, f"hello {n}")).accepted()

    async def after(running: Running) -> None:
        got = []
        async with house.client("bob") as bob:
            async for message in bob.messages():
                got.append((message.text, message.late))
                await message.ack()
                if len(got) == 3:
                    break
        assert got == [(f"hello {n}", False) for n in range(3)]
        assert running.cluster is not None
        statistics = running.statistics()
        assert statistics["cluster"]["partitions"]["served"] == 1_024
        sampler.take(state := SamplerState(), 0.0, statistics)
        assert [path for path in sampler.values(state) if CATALOGUE.of(path) is UNKNOWN] == []

    await house.run(None, before)
    founded = await trio.to_thread.run_sync(
        found, house.data, "town", Place(address=f"{ADDRESS}:{house.links}")
    )
    assert founded.kept == 1_024
    await house.run(house.member, after)
