"""A real Prometheus scrapes a real node: every query of the dashboard finds something, every rule can be evaluated."""

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.bench.node_process import NodeProcess, free_ports
from tests.node.blocking import Wire

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "ops" / "prometheus" / "waystation.rules.yml"
DASHBOARD = ROOT / "ops" / "grafana" / "waystation.json"
PAGE = ROOT / "docs" / "statistics.md"
GIVE_UP_S = 30.0
QUIET_AT_REST = ("queue_drain", "queue_length")
"""Queries that may find nothing on a node at rest, when nothing waits."""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="Prometheus isn't installed: apt install prometheus",
    ),
]


OF_MEMBERS = ("waystation_cluster_", "waystation_replication_", "waystation_routing_")
"""What a node that stands alone doesn't have; that there are such figures is `tests/ops/test_dashboard.py`."""


def panels() -> list[dict[str, Any]]:
    dashboard = json.loads(DASHBOARD.read_text("utf-8"))
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


def queries() -> list[str]:
    found = [target["expr"] for panel in panels() for target in panel["targets"]]
    return [
        query.replace("$__rate_interval", "1m").replace("$job", "waystation").replace("$instance", ".*")
        for query in found
    ]


class Asked:
    """Prometheus' HTTP API."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v1/"

    def get(self, path: str, **parameters: str) -> Any:
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._base}{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, text: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get("query", query=text)["result"]
        return found


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + GIVE_UP_S
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.1)


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[Asked]:
    plain, scraped, api = free_ports(3)
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n"
        f"rule_files: ['{RULES}']\n"
        "scrape_configs:\n"
        "  - job_name: waystation\n"
        f"    static_configs: [{{targets: ['127.0.0.1:{scraped}']}}]\n"
    )
    config = {
        "listen": {"port": 0, "plain_port": plain},
        "statistics": {"prometheus_port": scraped},
        "statistics.alarms": {"memory_share": 1e-9, "raise_after_s": 0},
    }
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [
                "prometheus", f"--config.file={tmp_path / 'prometheus.yml'}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{api}",
            ],
            stdout=log,
            stderr=log,
        )  # fmt: skip
    asked = Asked(api)
    try:
        with NodeProcess.start(config, tmp_path / "node"):
            with Wire(plain).hello():
                pass  # a connection that ends
            until(lambda: _listens(api))
            until(lambda: len(_found(asked, "rate(waystation_statistics_samples_total[1m]) > 0")) == 1)
            until(lambda: len(_found(asked, "rate(waystation_hub_closed_total[1m])")) > 0)
            yield asked
    finally:
        server.terminate()
        server.wait(10)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _found(asked: Asked, query: str) -> list[dict[str, Any]]:
    try:
        return asked.query(query)
    except OSError:  # it is starting
        return []


def test_queries_find_something_and_rules_can_be_evaluated(prometheus: Asked) -> None:
    """One test, for a Prometheus and a node take seconds to start."""
    silent = [query for query in queries() if not prometheus.query(query)]
    assert [query for query in silent if not any(name in query for name in QUIET_AT_REST + OF_MEMBERS)] == []
    (target,) = prometheus.get("targets")["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")
    (samples,) = prometheus.query('scrape_samples_scraped{job="waystation"}')
    assert float(samples["value"][1]) > 200
    until(
        lambda: all(
            rule["health"] == "ok" for group in prometheus.get("rules")["groups"] for rule in group["rules"]
        )
    )
    until(lambda: _alarm_of(prometheus) == "memory")


def _alarm_of(prometheus: Asked) -> str:
    """The alarm of the node's own that rings, or is about to."""
    return next(
        (
            one["labels"]["alarm"]
            for one in prometheus.get("alerts")["alerts"]
            if one["labels"]["alertname"] == "WaystationAlarm"
        ),
        "",
    )


def test_the_rules_ring_when_they_should() -> None:
    for command in (
        ["check", "rules", RULES.name],
        ["test", "rules", RULES.name.replace(".yml", ".test.yml")],
    ):
        checked = subprocess.run(
            ["promtool", *command], cwd=RULES.parent, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_pages_configuration_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```yaml\n(scrape_configs:.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(example)
    checked = subprocess.run(
        ["promtool", "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
