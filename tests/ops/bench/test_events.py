"""What an event costs a cluster grows with its nodes, and not with their square."""

from __future__ import annotations

import json

import pytest

from ops.bench.events import EVENTS, app, count, exponent, fitted


def test_the_exponent_is_that_of_the_power() -> None:
    assert exponent([(3, 30), (10, 100), (100, 1_000)]) == pytest.approx(1.0)
    assert exponent([(3, 9), (10, 100), (100, 10_000)]) == pytest.approx(2.0)


def test_a_death_a_join_and_a_change_of_hands_cost_messages_in_proportion_to_nodes() -> None:
    counted = {nodes: count(nodes, 16) for nodes in (3, 8, 20)}
    exponents = fitted(counted)
    for event in EVENTS:
        assert exponents[event]["messages"] <= 1.2, (event, counted)
    for found in counted.values():
        assert found["die"]["kinds"]["probe"] > 0
        assert found["die"]["kinds"]["open"] > 0
        assert "knock" not in found["die"]["kinds"]
        assert found["kill"]["kinds"]["knock"] > 0
        assert "probe" not in found["kill"]["kinds"]
        assert found["kill"]["took_ms"] < found["die"]["took_ms"]
        assert found["come"]["kinds"]["roster"] > 0
        assert found["hand_over"]["kinds"]["claims"] > 0
        assert found["hand_over"]["kinds"]["open"] == found["hand_over"]["kinds"]["announce"]
        assert found["come"]["kinds"]["link"] > 0
    assert all(counted[20][event]["took_ms"] <= 3_000 for event in EVENTS)


def test_at_rest_a_node_says_as_much_as_there_are_others() -> None:
    counted = {nodes: count(nodes, 4) for nodes in (3, 7)}
    assert fitted(counted)["rest"]["messages_per_s_of_a_node"] == pytest.approx(
        exponent([(3, 2), (7, 6)]), abs=0.1
    )
    for found in counted.values():
        assert set(found["rest"]["kinds"]) == {"beat", "hail"}, "nothing else is said when nothing happens"


def test_the_command_prints_what_was_counted(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app(["--nodes", "3", "--nodes", "4", "--partitions", "8", "--json"])
    assert not ended.value.code
    result = json.loads(capsys.readouterr().out)
    assert result["partitions"] == 8
    assert set(result["exponents"]) == {*EVENTS, "rest"}
