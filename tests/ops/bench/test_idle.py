"""Who logs in where, so that the edge's part of a session and the primary's are told apart."""

import pytest

from ops.bench.idle import FILES_SPARE, PER_GENERATOR, WARM_PER_NODE, Crowd


@pytest.mark.parametrize(("sessions", "nodes"), [(100, 2), (24_000, 3), (100_000, 8), (99_999, 7)])
def test_groups_are_of_whole_pairs_and_each_node_has_its_share(sessions: int, nodes: int) -> None:
    crowd = Crowd.of(sessions, nodes)
    assert crowd.warm % 2 == crowd.first % 2 == crowd.users % 2 == 0
    assert crowd.sessions in (sessions, sessions + 1)
    here, there = crowd.first - crowd.warm, crowd.users - crowd.first
    assert abs(here - there / (nodes - 1)) <= 4
    assert crowd.warm / nodes == pytest.approx(WARM_PER_NODE, abs=1)


def test_a_hundred_thousand_over_eight_nodes_need_no_process_with_twenty_thousand_files() -> None:
    crowd = Crowd.of(100_000, 8)
    assert crowd.files == 12_500 + WARM_PER_NODE + FILES_SPARE < 20_000
    assert PER_GENERATOR + FILES_SPARE < 20_000
    assert Crowd.of(100_000, 4).files > 20_000, "and over four they do"
