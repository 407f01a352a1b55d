"""The dashboard is one that Grafana can show: no two panels on one place, every figure one that a node has."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from admin.statistics.catalogue import CATALOGUE
from admin.statistics.exposition import name_of
from admin.statistics.figures import COUNTER, HISTOGRAM, TEXT

OPS = Path(__file__).resolve().parents[2] / "ops"
DASHBOARD: dict[str, Any] = json.loads((OPS / "grafana" / "waystation.json").read_text("utf-8"))
RULES = (OPS / "prometheus" / "waystation.rules.yml").read_text("utf-8")
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
BESIDE = {"waystation_alarm", "waystation_queue_length", "waystation_queue_age_seconds"} | {
    "waystation_queue_drain_seconds"
}


def metrics() -> set[str]:
    """All that a node may expose."""
    found = set(BESIDE)
    for figure in CATALOGUE.figures:
        name, _ = name_of(figure, ".".join(figure.path))
        if figure.kind == HISTOGRAM:
            found |= {f"{name}{ending}" for ending in ("_bucket", "_sum", "_count")}
        elif figure.kind == COUNTER:
            found.add(f"{name}_total")
        elif figure.kind != TEXT:
            found.add(name)
    return found


def used(text: str) -> set[str]:
    return set(re.findall(r"waystation_[a-z0-9_]+", text))


def test_no_two_panels_are_on_one_place() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in combinations([panel["gridPos"] for panel in PANELS], 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)


@pytest.mark.parametrize(
    "panel", [panel for panel in PANELS if panel["type"] != "row"], ids=lambda panel: panel["title"]
)
def test_a_panel_says_what_it_shows_and_shows_what_there_is(panel: dict[str, Any]) -> None:
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    for target in panel["targets"]:
        assert used(target["expr"]) <= metrics()
        assert '$job"' in target["expr"]
        assert "$instance" in target["expr"]


def test_rules_are_about_what_there_is() -> None:
    expressions = re.findall(r"expr: (.*?)(?:\n +for:|\n +labels:)", RULES, re.DOTALL)
    assert len(expressions) == RULES.count("- alert:")
    assert used(" ".join(expressions)) <= metrics()


def test_names_of_metrics_are_ones() -> None:
    assert all(re.fullmatch(r"[a-z_][a-z0-9_]*", name) for name in metrics())


@pytest.mark.parametrize(
    "figure",
    [
        "waystation_replication_groups_peers_lag_seconds",
        "waystation_replication_groups_peers_tables_oldest_seconds",
        "waystation_cluster_members_alive",
        "waystation_cluster_links_down",
        "waystation_routing_kept_oldest_seconds",
        "waystation_cluster_partitions_unserved",
        "waystation_cluster_partitions_at_one_copy",
    ],
)
def test_what_endangers_a_cluster_is_drawn_and_alerted_about(figure: str) -> None:
    drawn = " ".join(target["expr"] for panel in PANELS for target in panel.get("targets", ()))
    assert figure in used(drawn)
    assert figure in used(RULES)
