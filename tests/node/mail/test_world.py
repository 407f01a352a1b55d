"""The mail core in its small world, by seeds: no promise is broken whatever comes.

Longer runs: `python -m tests.sim.mail --seeds 0:10000`; a single one again: `--seed 42`. That the world notices
when a promise is broken is the business of test_bites.
"""

from pathlib import Path

import pytest

from tests.node.mail.stored import Stored
from tests.node.mail.world import Knobs, World, run

SEEDS = 200
SEEDS_LONG = 400
CHUNK = 50
STORED = range(10_000, 10_030)
"""Seeds that are run on a real store as well. A crash opens the directory anew."""


@pytest.mark.parametrize(
    "first",
    [
        *range(0, SEEDS, CHUNK),
        *(pytest.param(first, marks=pytest.mark.long) for first in range(SEEDS, SEEDS_LONG, CHUNK)),
    ],
)
def test_no_seed_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + CHUNK):
        run(seed)


@pytest.mark.parametrize("seed", STORED)
def test_no_seed_breaks_a_promise_on_a_real_store(seed: int, tmp_path: Path) -> None:
    storage = Stored(tmp_path / "store")
    try:
        run(seed, storage=storage)
    finally:
        storage.close()


def test_a_seed_is_the_same_each_time() -> None:
    """Otherwise what is found can't be looked at again."""

    def trace(seed: int) -> list[object]:
        world = World(seed)
        found: list[object] = []
        for _ in range(300):
            world.step()
            found.append((world.now, len(world.group.reads), sorted(map(str, world.disk.waiting_keys()))))
        return found

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


def test_the_worlds_are_not_alike() -> None:
    """What is rare must still be there in as many seeds as are run."""
    knobs = [Knobs(seed) for seed in range(SEEDS)]
    assert 0.15 < sum(k.hostile for k in knobs) / SEEDS < 0.35
    assert 0.15 < sum(k.settings.sync_first for k in knobs) / SEEDS < 0.35
    assert {k.group["warm"] for k in knobs} == {0, 0.6, 1}
    assert {k.group["fifo"] for k in knobs} == {True, False}
    assert any(k.group["read_failures"] and k.group["busy"] for k in knobs)


def test_much_happens_in_a_world() -> None:
    """Per seed, over some: a world in which nothing happens breaks no promise either."""
    total = dict.fromkeys(World(0).counts, 0)
    for seed in range(40):
        world = run(seed)
        total = {name: total[name] + world.counts[name] for name in total}
    assert total["delivers"] > 40 * 20
    assert total["commits"] > 40 * 10
    assert total["crashes"] > 40
    assert total["wipes"] > 40
    assert total["restarts"] > 20
    assert total["takeovers"] > 20
    assert total["merges"] > 20
    assert total["late_answers"] > 100
    assert total["purges"] > 0
