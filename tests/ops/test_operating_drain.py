"""A drain: nobody more is taken, those who are here are sent away at a rate, nothing is lost; and it can be undone."""

from pathlib import Path
from typing import Any, Self

import attrs
import pytest
import trio

from admin.channel.errors import Refused
from admin.channel.keyring import Asker
from admin.commands.draining import COMMANDS
from admin.commands.table import Role
from node.wire import errors, verbs
from replication.membership.errors import NotNow
from tests.node.live import Phone
from tests.ops.operated import ALICE, BOB, Operated, operated


async def ended(phone: Phone, frames: list[Any]) -> None:
    """A phone that hangs up when the node does."""
    frames += await phone.end()
    await trio.aclose_forcefully(phone.stream)


async def test_everybody_is_told_to_come_again_and_nobody_more_is_taken(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        phones = [await node.node.login(ALICE), await node.node.login(BOB), await node.node.greeted()]
        await phones[1].send(BOB.send(ALICE, 1))
        await phones[0].next()
        frames: list[Any] = []
        async with trio.open_nursery() as nursery:
            for phone in phones:
                nursery.start_soon(ended, phone, frames)
            result = await node.ask("drain --rate 1000 --retry 5s")
        assert (result["sent_away"], result["left"]) == (3, 0)
        byes = [frame for frame in frames if frame[0] == verbs.BYE]
        assert len(byes) == 3
        assert all(code == errors.SHUTTING_DOWN and 0 <= retry <= 5_000 for _, code, retry in byes)
        assert (await node.ask("info"))["draining"] is True
        refused = await node.node.connect()
        assert (await refused.refused(errors.SHUTTING_DOWN))[3] > 0
        assert (await node.ask("stats hub.refused")) == {"draining": 1}
        assert await node.ask("undrain") == {"draining": False, "was_draining": True}
        again = await node.node.login(ALICE)
        assert (await again.next())[0] == verbs.DELIVER, "what was not acknowledged comes again"


async def drains(node: Operated) -> None:
    with trio.fail_after(10):
        while not (await node.ask("info"))["draining"]:  # noqa: ASYNC110 - another command begins it
            await trio.sleep(0.01)


async def test_it_goes_at_its_rate_and_an_undrain_ends_it(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        phones = [await node.node.greeted() for _ in range(10)]
        said: list[str] = []

        async def drain() -> None:
            with pytest.raises(Refused) as refused:
                await node.ask("drain --rate 1 --retry 0s")
            said.append(str(refused.value))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(drain)
            await drains(node)
            await node.ask("undrain")
        sent, left = int(said[0].split("it: ")[1].split()[0]), node.node.running.hub.counters.connections
        assert sent + left == 10
        assert left > 5
        assert len(phones) == 10


async def test_ended_before_its_time_it_still_refuses(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        await node.node.greeted()
        lines: list[Any] = []
        for _ in range(5):
            await node.node.greeted()
        with pytest.raises(Refused, match="ended, as was asked"):
            await node.ask("drain --rate 1", lines.append, stop=lambda: bool(lines))
        assert 1 <= lines[0]["sent_away"] <= 5
        assert lines[0]["left"] >= 1
        assert (await node.ask("info"))["draining"] is True


class Emptying:
    """A member that hands over a partition whenever somebody asks how many are left."""

    def __init__(self) -> None:
        self.left = 14
        self.alone = False
        self.leaving = False

    @property
    def operate(self) -> Self:
        return self

    async def empty(self) -> None:
        if self.alone:
            raise NotNow("no other active member is there")
        self.leaving = True

    async def stay(self) -> None:
        self.leaving = False

    def is_emptying(self) -> bool:
        return self.leaving

    def served(self) -> int:
        self.left -= self.left > 0 and self.leaving
        return self.left


@attrs.frozen
class Member:
    """What a drain needs of a running node."""

    hub: Any
    service: Any
    cluster: Emptying


async def test_a_member_of_a_cluster_hands_over_what_it_serves(tmp_path: Path) -> None:
    commands = {command.name: command for command in COMMANDS}
    async with operated(tmp_path) as node:
        running, lines = node.node.running, list[Any]()
        cluster = Emptying()
        asker = Asker("anna", Role.OPERATOR, "")
        member: Any = Member(running.hub, running.service, cluster)
        context = attrs.evolve(node.operating._context(asker, lines.append), node=member)
        given = {"rate": 10, "retry": 1.0}
        done = await commands["drain"].run(context, given)
        assert (done["left"], done["partitions_left"], cluster.left, cluster.leaving) == (0, 0, 0, True)
        assert [line["partitions_left"] > 0 for line in lines] == [True] * len(lines)
        assert lines
        assert await commands["undrain"].run(context, {}) == {"draining": False, "was_draining": True}
        assert not cluster.leaving
        cluster.alone, cluster.left = True, 5
        alone = await commands["drain"].run(context, given)
        assert (alone["partitions_left"], cluster.leaving) == (5, False)
        assert "no other active member" in alone["hint"]
