"""Nodes that exchange everything they have, in any order and however often, come to the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from store.writes import DELETE, MERGE, PUT, REMOVE
from tests.store.peers import Peer, tables
from tests.store.worlds import MEMORY

NAMES = [table.name for table in tables()]
PARTITIONS = (0, 1, 40, None)
numbers = st.lists(st.integers(0, 5), max_size=2)


def key_of(name: str, number: int) -> Any:
    return (number,) if name in ("whole", "position") else ((0, 1, 40)[number % 3], number)


@st.composite
def one_write(draw: Any) -> Any:
    name = draw(st.sampled_from(NAMES))
    key = key_of(name, draw(st.integers(0, 4)))
    at = NAMES.index(name)
    if draw(st.integers(0, 2)) == 0 and name not in ("plain", "merged"):  # these leave no tombstone
        return (DELETE, at, key)
    if "merged" in name:
        return (draw(st.sampled_from([PUT, MERGE])), at, key, draw(numbers))
    if name == "bag":
        return (draw(st.sampled_from([PUT, REMOVE])), at, key, draw(st.integers(0, 2)))
    return (PUT, at, key, draw(st.integers(0, 3)))


pulls = st.tuples(st.just("pull"), st.integers(1, 2), st.integers(1, 9))
steps = st.lists(st.tuples(st.integers(0, 2), st.lists(one_write(), min_size=1) | pulls), max_size=30)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps, st.tuples(*[st.integers(0, 3)] * 3), st.sampled_from(["disc", "ram"]))
def test_nodes_that_pull_from_one_another_agree(steps: Any, epochs: Any, storage: str) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        nodes = [Peer(Path(folder) / str(n), tables(storage), epoch=epoch) for n, epoch in enumerate(epochs)]
        positions: Any = {
            (one, other): dict.fromkeys(PARTITIONS, 0) for one in range(3) for other in range(3)
        }
        for at, what in steps:
            if what[0] == "pull":
                other = (at + what[1]) % 3
                nodes[at].pull_from(nodes[other], positions[at, other], what[2])
            else:
                nodes[at].commit(*what)
        for _ in range(2):
            for at in range(3):
                for other in range(3):
                    if at != other:
                        nodes[at].pull_from(nodes[other], positions[at, other])
        for node in nodes:
            node.check()
        assert nodes[0].records() == nodes[1].records() == nodes[2].records()
        assert nodes[0].digests(PARTITIONS) == nodes[1].digests(PARTITIONS) == nodes[2].digests(PARTITIONS)
        # And once all is known, nothing that is pulled again changes anything.
        before = [node.group.sequence for node in nodes]
        nodes[0].pull_from(nodes[1], dict.fromkeys(PARTITIONS, 0))
        nodes[2].pull_from(nodes[0], dict.fromkeys(PARTITIONS, 0))
        assert [node.group.sequence for node in nodes] == before
        for node in nodes:
            node.close()


@st.composite
def any_write(draw: Any) -> Any:
    """Of any table, deletes without a tombstone included. Merging tables only grow, as they must: a key of theirs that
    is deleted and written again within one commit is told as its last row, which whoever has the former one merges."""
    write = draw(one_write())
    if "merged" in NAMES[write[1]] and write[0] == DELETE:
        return (MERGE, *write[1:3], draw(numbers))
    if NAMES[write[1]] == "plain" and draw(st.booleans()):
        return (DELETE, *write[1:3])
    return (MERGE, *write[1:]) if "merged" in NAMES[write[1]] and write[0] == PUT else write


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(any_write(), min_size=1, max_size=6), max_size=20),
    st.booleans(),
    st.sampled_from(["disc", "ram"]),
)
def test_a_node_that_is_told_every_commit_has_what_its_source_has(
    submits: Any, together: bool, storage: str
) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as folder:
        source = Peer(Path(folder) / "source", tables(storage))
        target = Peer(Path(folder) / "target", tables(storage))
        for writes in submits:
            if together:
                source.group.submit(writes, lambda result: None)
            else:
                source.commit(*writes)
        source.store.deliver_results()
        at = 0
        for commit in source.tapped:
            assert commit.first == at < commit.last
            at = commit.last
            target.apply(commit.parts, trusted=True)
        assert at == source.group.sequence
        assert target.records() == source.records()
        assert target.digests(PARTITIONS) == source.digests(PARTITIONS)
        target.check()
        source.close()
        target.close()


@pytest.mark.parametrize("storage", ["disc", "ram"])
def test_what_is_applied_is_tapped_as_its_writer_packed_it(tmp_path: Path, storage: str) -> None:
    first, second, third = (Peer(tmp_path / str(n), tables(storage)) for n in range(3))
    for n in range(5):
        first.put("last", (1, n), f"value {n}")
    first.delete("last", (1, 3))
    for source, target in ((first, second), (second, third)):
        for commit in source.tapped:
            target.apply(commit.parts, trusted=True)
    assert third.records() == first.records()
    assert len(third.records()) == 5
    for peer in (first, second, third):
        peer.close()
