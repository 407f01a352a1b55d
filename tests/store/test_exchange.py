"""Nodes that exchange everything they have, in any order and however often, come to the same."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, example, given, settings

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
    """Of any table, deletes without a tombstone included. Rows of merging tables only grow, as they must."""
    write = draw(one_write())
    if NAMES[write[1]] in ("plain", "merged") and draw(st.booleans()):
        return (DELETE, *write[1:3])
    return (MERGE, *write[1:]) if "merged" in NAMES[write[1]] and write[0] == PUT else write


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(st.lists(any_write(), min_size=1, max_size=6), max_size=20),
    st.booleans(),
    st.sampled_from(["disc", "ram"]),
)
@example([[(MERGE, 2, (0, 0), [0])], [(DELETE, 2, (0, 0)), (MERGE, 2, (0, 0), [])]], False, "disc")
@example([[(MERGE, 1, (0, 0), [0])], [(DELETE, 1, (0, 0)), (MERGE, 1, (0, 0), [])]], False, "ram")
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


def test_a_row_is_told_behind_the_deletion_before_it_by_whoever_passes_it_on_too(tmp_path: Path) -> None:
    source, heir, third = (Peer(tmp_path / str(n)) for n in range(3))
    merged, buried = source.id("merged"), source.id("buried_merged")
    source.commit(*[(MERGE, table, (1, 1), [1]) for table in (merged, buried)])
    source.commit(
        *[(MERGE, table, (1, 1), [2]) for table in (merged, buried)],
        *[(DELETE, table, (1, 1)) for table in (merged, buried)],
        *[(MERGE, table, (1, 1), [value]) for value in (3, 4) for table in (merged, buried)],
    )
    for giver, taker in ((source, heir), (heir, third)):
        for tapped in giver.tapped:
            taker.apply(tapped.parts, trusted=True)
        assert [taker.group.table(name).get((1, 1)) for name in ("merged", "buried_merged")] == [[3, 4]] * 2
    assert {part.rows for part in source.tapped[1].parts} == {2}
    for peer in (source, heir, third):
        peer.close()


def test_a_copy_that_was_away_for_a_deletion_merges_and_tells_what_it_made_of_it(tmp_path: Path) -> None:
    """Only the row is left to be pulled. Whoever had the former one has both then, and counts as having changed it."""
    source, away = Peer(tmp_path / "source"), Peer(tmp_path / "away")
    merged = source.id("buried_merged")
    upto: dict[int | None, int] = {1: 0}
    back: dict[int | None, int] = {1: 0}
    source.commit((MERGE, merged, (1, 1), [1]))
    away.pull_from(source, upto)
    source.commit((DELETE, merged, (1, 1)))
    source.commit((MERGE, merged, (1, 1), [2]))
    away.pull_from(source, upto)
    assert away.group.table("buried_merged").get((1, 1)) == [1, 2]
    assert None in away.tapped[-1].touched[1]
    source.pull_from(away, back)
    assert source.records() == away.records()
    source.close()
    away.close()


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
