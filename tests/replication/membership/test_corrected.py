"""What others say of a node's own row, and its correction of that, are durable at once; and what a disk doesn't take is
given to it again by the node itself, whoever is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import attrs
import pytest

from ops.simulation.cluster.belonging import Belonging, address_of
from ops.simulation.cluster.keyring import KeyFiles, key_of
from ops.simulation.disk import CommitFault, PowerCut, VirtualDisk
from ops.simulation.tables.claims import name_of
from replication.clustersettings import Neighbour
from replication.detector import Detector
from replication.detectorstate import DetectorSettings
from replication.membership.exchange import telling
from replication.membership.member import key_hash
from replication.membership.membership import KEEP_MS
from replication.membership.settings import MembershipSettings
from replication.tables import CLUSTER
from store.limits import StoreSettings
from store.store import Store

TICK_MS = 100


class Life:
    """Lives of node 0, on one virtual disk. `write` is when the disk has its turn, one submit at a time."""

    def __init__(self, nodes: int) -> None:
        self.disk = VirtualDisk("0", lambda commit: None)
        self.files = KeyFiles()
        self.time = 0
        self.founders = [Neighbour(key_of(n), address_of(n), f"s{n}", id=name_of(n)) for n in range(nodes)]
        self.start()

    def start(self) -> None:
        self.store = Store.open(
            "/node",
            (CLUSTER,),
            committer="inline",
            settings=StoreSettings(batch_rows=1),
            environments=self.disk.environment,
            directories=self.disk.directory,
        )
        self.belonging = Belonging(0, self.store, self.founders, MembershipSettings(), self, self.files)
        self.membership = self.belonging.membership
        members = self.membership.nodes
        self.belonging.detector = Detector(name_of(0), members, bytes(8), DetectorSettings(), self.time)

    def lose_power(self) -> None:
        self.disk.crash()
        self.store.abandon()

    def write(self) -> None:
        self.store.group(CLUSTER.name).step_inline()
        self.store.deliver_results(commit=False)

    def pass_time(self, length_ms: int) -> None:
        for _ in range(length_ms // TICK_MS):
            self.time += TICK_MS
            self.membership.step()
            self.write()

    # ---- what a node does for it ----

    def now(self) -> int:
        return self.time

    def control(self, peer: bytes, message: Sequence[Any]) -> None:
        pass

    def meet(self, peers: Sequence[bytes]) -> None:
        pass

    def break_links(self) -> None:
        pass

    def think(self, state: Any, peer: bytes) -> None:
        pass


@pytest.fixture
def life() -> Iterator[Life]:
    one = Life(2)
    yield one
    one.store.abandon()


@pytest.mark.parametrize("fault", [CommitFault.CUT_BEFORE, CommitFault.CUT_AFTER])
def test_a_node_whose_row_others_have_changed_starts_again_after_it_lost_power_at_any_commit(
    life: Life, fault: CommitFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who hasn't heard of its change of keys has set a weight, and that row stands over its own."""
    former = life.membership.own
    life.files.change(0)
    key = life.files.of(0)
    changed = attrs.evolve(former, counter=1, editor=former.node, key=key, revoked=(key_hash(former.key),))
    life.membership.edit_soon([changed])
    life.write()
    life.lose_power()
    life.start()
    theirs = attrs.evolve(former, counter=9, editor=name_of(1), weight=7)
    group = life.store.group(CLUSTER.name)
    submit = group.submit

    def at_once(*args: Any) -> None:
        """The committer is quick: each submit is a commit of its own, before the next one is handed over."""
        submit(*args)
        group.step_inline()

    monkeypatch.setattr(type(group), "submit", lambda _, *args: at_once(*args))
    life.disk.fault = fault
    with pytest.raises(PowerCut):
        life.membership.received(name_of(1), telling([theirs]))
    monkeypatch.undo()
    life.lose_power()
    life.start()
    own = life.membership.own
    assert own.keys == (key,)
    assert own.weight == (7 if fault is CommitFault.CUT_AFTER else former.weight)


def test_a_node_alone_keeps_what_a_full_disk_refused_once_there_is_room() -> None:
    life = Life(1)
    life.disk.full = True
    life.membership.say(admin="127.0.0.1:7444", admin_key="public")
    life.write()
    life.pass_time(3 * KEEP_MS)
    assert not life.membership.is_kept
    life.disk.full = False
    life.pass_time(KEEP_MS)
    assert life.membership.is_kept
    life.lose_power()
    life.start()
    assert life.membership.own.admin == "127.0.0.1:7444"
    life.store.abandon()


def test_a_full_disk_is_tried_again_once_in_a_pause(life: Life) -> None:
    life.disk.full = True
    life.membership.say(admin="127.0.0.1:7444", admin_key="public")
    life.write()
    submitted = []
    group = life.store.group(CLUSTER.name)
    submit = group.submit
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(group), "submit", lambda _, *args: (submitted.append(life.time), submit(*args))[1])
        life.pass_time(5 * KEEP_MS)
    assert 4 <= len(submitted) <= 5
