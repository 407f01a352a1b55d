"""What becomes of the costs of clusters of growing size."""

import io

import pytest
from rich.console import Console

from ops.bench.cluster_load import Cost
from ops.bench.sizes import OfSize, figures, hops, table

ALONE = {"messages_per_s": 100_000.0, "cpu_us": 10.0}


def cost(cpu_us: float) -> Cost:
    return Cost(1_000, 1e6 / cpu_us, cpu_us, 0.0, {}, {})


def of(cpu_us: float, unwritten_us: float, share: float = 0.25) -> OfSize:
    return OfSize(cost(cpu_us), share, cost(unwritten_us))


def test_a_message_of_random_users_makes_four_hops_at_most() -> None:
    assert hops(1) == 0
    assert hops(2) == 2
    assert hops(1_000) == pytest.approx(4, abs=0.01)


def test_a_hop_costs_what_a_message_costs_more_than_on_one_member() -> None:
    found = figures(ALONE, {8: of(92.0, 82.0), 1: of(13.0, 12.0), 2: of(65.0, 52.0)})
    assert [one["nodes"] for one in found["members"]] == [1, 2, 8]
    assert "hop_cpu_us" not in found["members"][0]
    assert [one["hop_cpu_us"] for one in found["members"][1:]] == [20.0, 20.0]
    assert found["members"][1]["cost_over_one_member"] == pytest.approx(65 / 13)
    assert found["hop_cpu_us"] == 20.0, "of the smallest that has hops"
    assert found["one_member"]["cpu_us"] == 13.0
    assert found["alone"] == ALONE


def test_what_is_written_is_told_apart_from_hops() -> None:
    found = figures(ALONE, {1: of(13.0, 12.0, 0.1), 2: of(65.0, 52.0, 0.5)})["members"]
    assert [one["writing_cpu_us"] for one in found] == [1.0, 13.0]
    assert [one["unwritten_cpu_us"] for one in found] == [12.0, 52.0]
    assert [one["written_share"] for one in found] == [0.1, 0.5]


def test_one_member_alone_has_no_hops_to_tell_of() -> None:
    found = figures(ALONE, {1: of(13.0, 12.0)})
    assert "hop_cpu_us" not in found
    assert len(found["members"]) == 1


def test_the_table_has_a_line_for_each_size() -> None:
    out = io.StringIO()
    Console(file=out, width=120).print(
        table(figures(ALONE, {1: of(13.0, 12.0), 2: of(65.0, 52.0), 3: of(70.0, 62.0)}))
    )
    lines = [line.split() for line in out.getvalue().splitlines() if "│" in line]
    assert [line[1] for line in lines[-4:]] == ["alone", "1", "2", "3"]
    assert {"65.0", "25%", "52.0", "20.0"} <= set(lines[-2])
