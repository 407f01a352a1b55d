"""A node's part in its cluster: passes around what links bring; partitions come and go together."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest

from node.partaking import Partaking
from replication.core.settings import ReplicaSettings
from replication.membership.member import LEAVING, Member

ME, OTHER = b"this one", b"another."


class Core:
    """Service, hub and accounts at once: writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.in_pass = False
        self.mail = SimpleNamespace(out=[])
        self.drain: Any = None

    def begin_pass(self) -> None:
        self.in_pass = True
        self.said.append("begin")

    def end_pass(self) -> None:
        self.in_pass = False
        self.said.append("end")

    def write_out(self) -> None:
        self.said.append("written")

    def serve(self, partitions: Collection[int]) -> None:
        self.said.append(("serve", sorted(partitions)))

    def drop(self, partitions: Collection[int]) -> None:
        self.said.append(("drop", sorted(partitions)))

    def cease(self, partitions: Collection[int]) -> None:
        self.said.append(("cease", sorted(partitions)))

    def ceased(self, partitions: Collection[int]) -> None:
        self.said.append(("ceased", sorted(partitions)))

    def claimed(self, partition: int) -> None:
        self.said.append(("claimed", partition))


class Carrier:
    """Nothing to carry out."""

    def __init__(self) -> None:
        self.state = SimpleNamespace(now=0, out=[])

    def drain(self) -> None:
        """Quiet."""


class Driver:
    """The half of the mail core's driver that is told of partitions."""

    def __init__(self, core: Core) -> None:
        self.serve, self.drop = core.serve, core.drop

    def drain(self) -> None:
        """Quiet."""

    def tick(self) -> None:
        """Nothing is due."""


class Router:
    """The half of the router that is told of partitions."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.cease, self.claimed = core.cease, core.claimed

    def serve(self, partitions: Collection[int]) -> None:
        self._core.said.append(("route", sorted(partitions)))

    def end_pass(self) -> None:
        """Nothing was gathered."""


@pytest.fixture
def core() -> Core:
    return Core()


@pytest.fixture
def partaking(core: Core) -> Partaking:
    part = Partaking(ME, 8, lambda user: user % 8)
    service: Any = core
    service.driver, service.router = Driver(core), Router(core)
    group: Any = SimpleNamespace(carrier=Carrier(), group=SimpleNamespace(sequence=77))
    part.take_up(group, SimpleNamespace(accounts=core, hub=core), service)  # type: ignore[arg-type]
    part.cluster = SimpleNamespace(now=lambda: 5)  # type: ignore[assignment]
    part.is_open = True
    return part


def test_what_links_bring_is_a_pass_of_its_own_and_nests(partaking: Partaking, core: Core) -> None:
    partaking.begin()
    partaking.begin()
    partaking.end()
    assert core.said == ["begin"]
    partaking.end()
    assert core.said == ["begin", "end", "written"]


def test_within_a_pass_of_the_hub_it_is_a_part_of_that(partaking: Partaking, core: Core) -> None:
    core.in_pass = True
    partaking.begin()
    partaking.end()
    assert core.said == []


def test_before_everything_is_there_nothing_is_begun(partaking: Partaking, core: Core) -> None:
    partaking.is_open = False
    partaking.begin()
    partaking.end()
    assert core.said == []


def test_partitions_are_handed_over_together_those_that_go_first(partaking: Partaking, core: Core) -> None:
    for p in (1, 2, 3):
        partaking.serve(p, 9)
    partaking.drain()
    assert core.said == [("serve", [1, 2, 3]), ("route", [1, 2, 3])]
    assert partaking.served == {1, 2, 3}
    assert partaking.kept_since(2) == 77
    assert partaking.kept_since(5) == 1, "counts of a partition that never came aren't trusted"
    core.said.clear()
    partaking.cease(1)
    partaking.cease(2)
    partaking.serve(2, 10)  # others' records were taken in beneath it
    partaking.serve(4, 10)
    partaking.claimed(1)
    partaking.drain()
    assert core.said == [
        ("cease", [1, 2]),
        ("drop", [1, 2]),
        ("ceased", [1, 2]),
        ("serve", [2, 4]),
        ("route", [2, 4]),
        ("claimed", 1),
    ]
    assert partaking.served == {2, 3, 4}


def test_what_came_and_went_in_one_pass_was_never_there(partaking: Partaking, core: Core) -> None:
    partaking.serve(6, 1)
    partaking.cease(6)
    partaking.drain()
    assert core.said == []


def test_wipes_are_looked_for_when_something_has_come(partaking: Partaking) -> None:
    assert not partaking.wipes_due
    partaking.serve(1, 1)
    partaking.drain()
    assert partaking.wipes_due


def test_a_registration_is_on_as_many_nodes_as_active_members_can_hold_it(partaking: Partaking) -> None:
    members = {ME: Member(node=ME), OTHER: Member(node=OTHER)}
    cluster: Any = partaking.cluster
    cluster.nodes = tuple(members)
    cluster.membership = SimpleNamespace(nodes=tuple(members), roster=SimpleNamespace(members=members))
    state: Any = partaking.group.carrier.state
    state.settings = ReplicaSettings()
    assert partaking.is_enough(2)
    assert [partaking.wipes_due] == [False]
    assert not partaking.is_enough(1)
    assert [partaking.wipes_due] == [True], "what was written may ask for a wipe that nobody has begun"
    for other in (Member(node=OTHER, weight=0), Member(node=OTHER, state=LEAVING)):
        members[OTHER] = other
        assert partaking.is_enough(1)
