"""The benchmark of statistics: what it takes from looks and scrapes. That it runs is seen by running it."""

import pytest

from ops.bench.stats import Look, figure_of, loaded


def test_only_seconds_in_which_the_node_was_loaded_count() -> None:
    looks = [
        Look(0.0, 0.0, 0.000, 1),
        Look(1.0, 0.1, 0.001, 2),  # at rest
        Look(2.0, 1.0, 0.003, 3),
        Look(3.0, 2.0, 0.006, 4),
        Look(4.0, 2.1, 0.007, 5),  # at rest
    ]
    found = loaded(looks)
    assert found["loaded_s"] == 2
    assert found["node_cores"] == pytest.approx(0.95)
    assert found["counted_ms_per_s"] == pytest.approx(2.5)
    assert found["counted_share"] == pytest.approx(0.005 / 1.9)


def test_a_figure_is_found_in_a_scrape() -> None:
    text = "# HELP waystation_a_total x\nwaystation_a_total_more 7\nwaystation_a_total 3.5\n"
    assert figure_of(text, "waystation_a_total ") == 3.5
