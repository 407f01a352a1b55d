"""Routers and mail cores of several nodes, by seeds: what phones see is right whatever claims and links do.

That the world notices when a promise is broken is the business of test_routing_bites.
"""

import pytest

from tests.node.routing.world import World, run

SEEDS = 24
CHUNK = 6


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_no_seed_breaks_a_promise(first: int) -> None:
    for seed in range(first, first + CHUNK):
        run(seed)


def test_a_seed_is_the_same_each_time() -> None:
    """Otherwise what is found can't be looked at again."""

    def trace(seed: int) -> list[object]:
        world = World(seed)
        found: list[object] = []
        for _ in range(200):
            world.step()
            found.append((world.now, world.claims.copy(), len(world.links_with_messages())))
        return found

    assert trace(7) == trace(7)
    assert trace(7) != trace(8)


def test_much_happens_in_a_world() -> None:
    """Over some seeds: a world in which nothing happens breaks no promise either."""
    total: dict[str, int] = {}
    for seed in range(100, 112):
        for name, count in run(seed).counts.items():
            total[name] = total.get(name, 0) + count
    assert total["delivers"] > 12 * 40
    assert total["remote"] > 12 * 60
    assert total["claims"] > 12
    assert total["cuts"] > 12
    assert total["lost"] > 6
    assert total["resent"] > 12
    assert total["told"] > 12
    assert total["busy"] > 12
    assert total["crashes"] > 2
