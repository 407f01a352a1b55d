"""A real Prometheus scrapes the members of a real cluster: every query of the dashboard finds something, every rule can
be evaluated; and when two of three members are lost, those ring that should: there, at the node, at its webhook."""

import json
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import attrs
import pytest

from admin.channel.client import Client, Target
from node.accounts.provision import provision
from node.wire import verbs
from ops.bench.clusters import FAST
from ops.bench.identities import device_key, number_of, public_key, stream_of
from ops.bench.node_process import NodeProcess, free_ports
from ops.faults.raw import RawPhone
from replication.placement import PARTITIONS
from tests.node.blocking import Wire
from tests.system.joined import id_of, members

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "ops" / "prometheus" / "waystation.rules.yml"
DASHBOARD = ROOT / "ops" / "grafana" / "waystation.json"
PAGE = ROOT / "docs" / "statistics.md"
GIVE_UP_S = 120.0
QUIET_AT_REST = ("queue_drain", "queue_length")
"""Queries that may find nothing on a node at rest, when nothing waits."""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(
        not (shutil.which("prometheus") and shutil.which("promtool")),
        reason="Prometheus isn't installed: apt install prometheus",
    ),
]


NAMES = ("n1", "n2", "n3")
SENDER, RECIPIENTS = 0, range(1, 41)
LOST = {
    "WaystationDown",
    "WaystationMemberDead",
    "WaystationPartitionsUnserved",
    "WaystationOneCopy",
    "WaystationCopyLags",
    "WaystationTableLags",
    "WaystationLinksDown",
}
"""Rules that see that two of three members are gone."""


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


@attrs.frozen
class Watched:
    """A cluster, and who looks at it. told: what the webhook of the first member was told."""

    asked: Asked
    folder: Path
    nodes: list[NodeProcess]
    ports: list[int]
    told: list[dict[str, Any]]


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    *ports, api = free_ports(10)
    phones, links, scraped = ports[:3], ports[3:6], ports[6:]
    targets = ", ".join(f"'127.0.0.1:{port}'" for port in scraped)
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 500ms, evaluation_interval: 500ms}}\n"
        f"rule_files: ['{RULES}']\n"
        "scrape_configs:\n"
        "  - job_name: waystation\n"
        f"    static_configs: [{{targets: [{targets}]}}]\n"
    )
    accounts = [(number_of(user), public_key(user), stream_of(user)) for user in (SENDER, *RECIPIENTS)]
    (tmp_path / "n1").mkdir()
    provision(tmp_path / "n1" / "data", accounts)
    with webhook() as (url, told), (tmp_path / "log").open("w") as log:
        configs: list[dict[str, dict[str, Any]]] = [
            {
                "listen": {"port": 0, "plain_port": phones[n]},
                "cluster": {"listen": f"127.0.0.1:{links[n]}", **FAST["cluster"]},
                "statistics": {"prometheus_port": scraped[n]},
                "statistics.alarms": {"memory_share": 1e-9, "raise_after_s": 0, "lag_s": 3},
            }
            for n in range(3)
        ]
        configs[0]["statistics.webhook"] = {"url": url}
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
            with members(tmp_path, configs) as nodes:
                for port in phones:
                    with Wire(port).hello():
                        pass  # a connection that ends
                until(lambda: _listens(api))
                until(lambda: len(_found(asked, "rate(waystation_statistics_samples_total[1m]) > 0")) == 3)
                until(lambda: len(_found(asked, "rate(waystation_hub_closed_total[1m])")) > 0)
                until(lambda: _is_spread(asked))
                yield Watched(asked, tmp_path, nodes, phones, told)
        finally:
            server.terminate()
            server.wait(10)


@contextmanager
def webhook() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Where alarms are told, and what was."""
    told: list[dict[str, Any]] = []

    class Taken(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taken)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", told
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


def _is_spread(asked: Asked) -> bool:
    """Partitions have found their places, and have their copies."""
    parts = "waystation_cluster_partitions_"
    unrest = [_sum(asked, f"{parts}{what}") for what in ("at_one_copy", "unserved", "moving")]
    served = [float(one["value"][1]) for one in _found(asked, f"{parts}served")]
    return unrest == [0, 0, 0] and sum(served) == PARTITIONS and min(served) > PARTITIONS / 6


def _sum(asked: Asked, metric: str) -> float:
    found = _found(asked, f"sum({metric})")
    return float(found[0]["value"][1]) if found else -1.0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _found(asked: Asked, query: str) -> list[dict[str, Any]]:
    try:
        return asked.query(query)
    except OSError:  # it is starting
        return []


def test_queries_find_something_and_rules_see_that_members_are_lost(watched: Watched) -> None:
    """One test, for a Prometheus and a cluster take seconds to start."""
    asked = watched.asked
    until(lambda: [query for query in queries() if _is_silent(asked, query)] == [])
    targets = asked.get("targets")["activeTargets"]
    assert {(target["health"], target["lastError"]) for target in targets} == {("up", "")}
    samples = asked.query('scrape_samples_scraped{job="waystation"}')
    assert min(float(one["value"][1]) for one in samples) > 200
    assert _sum(asked, "waystation_statistics_figures_left_out") == 0
    until(
        lambda: all(
            rule["health"] == "ok" for group in asked.get("rules")["groups"] for rule in group["rules"]
        )
    )
    until(lambda: ("WaystationAlarm", "memory") in _alerts(asked))
    until(lambda: not {rule for rule, _ in _alerts(asked)} & LOST)  # partitions have found their places
    tables = asked.query("waystation_replication_groups_peers_tables_lag_rows")
    ids = {id_of(watched.folder, name)[:8] for name in NAMES}
    assert {one["metric"]["peer"] for one in tables if one["metric"]["table"] == "message"} == ids
    _lose_two(watched)
    until(lambda: {rule for rule, _ in _alerts(asked)} >= LOST)
    lost = {f"replication users {peer}" for peer in ids - {id_of(watched.folder, "n1")[:8]}}
    with Client(Target.find(str(watched.folder / "n1"))) as client:
        raised = client.ask(("alarms",))
        shown = client.ask(("glance",))
    assert (shown["members"], shown["members_alive"]) == (3, 1)
    for names in (
        {one["name"] for one in raised},
        {one["name"] for one in shown["alarms"]},  # what top shows
    ):
        assert names >= {"partitions unserved", "partitions at_one_copy"}
        assert names & lost, "not both need have missed something"
    until(lambda: {one["alarm"] for one in watched.told if one["what"] == "raised"} >= names)


def _is_silent(asked: Asked, query: str) -> bool:
    return not any(name in query for name in QUIET_AT_REST) and not asked.query(query)


def _lose_two(watched: Watched) -> None:
    """At once, the one by its end, the other by a standstill; while the first is written to."""
    _, second, third = watched.nodes
    phone = RawPhone("127.0.0.1", watched.ports[0], tls=False)
    with closing(phone.socket):
        phone.login(number_of(SENDER), device_key(SENDER))
        third.signal(signal.SIGSTOP)
        second.signal(signal.SIGSTOP)
        for recipient in RECIPIENTS:
            phone.send(verbs.SEND, number_of(recipient), stream_of(SENDER), 1, 1, b"body")
        until(lambda: _sum(watched.asked, "waystation_replication_lag_rows") > 0)
        second.kill()


def _alerts(asked: Asked) -> set[tuple[str, str]]:
    """(rule, the node's own alarm) of all that ring, or are about to."""
    found = asked.get("alerts")["alerts"]
    return {(one["labels"]["alertname"], one["labels"].get("alarm", "")) for one in found}


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
