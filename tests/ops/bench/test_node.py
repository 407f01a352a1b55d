"""The benchmarks on a real node, small: every command's keys are there and everything arrives."""

import json
from typing import Any

import pytest

from node.mail.settings import MailSettings
from ops.bench import connections
from ops.bench.command import app
from ops.bench.server import LIMITS_OFF

pytestmark = pytest.mark.system


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    monkeypatch.setattr(connections, "_WARM_UP", 6)
    monkeypatch.setattr(connections, "_IDLE_SECONDS", 0.1)

    def run(*words: str) -> dict[str, Any]:
        capsys.readouterr()
        app([*words, "--json"], result_action="return_value")
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        return result

    return run


@pytest.mark.parametrize("options", [[], ["--durable", "--partners", "2"], ["--tls", "--rate", "300"]])
def test_messages_online(bench: Any, options: list[str]) -> None:
    seconds = "2" if "--durable" in options else "0.5"  # a disk may take half a second for one sync
    result = bench("messages", "--users", "6", "--seconds", seconds, *options)
    assert result["messages"] > 50
    assert result["node_cpu_us_per_message"] > 0
    assert result["send_to_deliver_ms"]["p99.9"] > 0
    assert result["send_to_accepted_ms"]["p99"] > 0
    assert result["disordered"] == 0


def test_a_node_takes_the_limits_that_the_load_needs() -> None:
    limits = MailSettings(**LIMITS_OFF)
    assert limits.mailbox_messages_max >= 1_000_000


def test_messages_offline(bench: Any) -> None:
    result = bench("messages", "--users", "8", "--seconds", "0.5", "--recipients", "offline")
    assert result["messages"] > 50
    assert result["store"]["written_bytes_per_message"] > 120
    assert result["drain"]["logins"] == 4


def test_mailbox(bench: Any) -> None:
    result = bench("mailbox", "--messages", "600", "--recipients", "20", "--senders", "4")
    assert result["messages"] == 600
    assert result["record_bytes_per_message"] > 120
    assert 0 < result["record_bytes_per_pair"] < 4_096
    assert result["write_amplification"] > 1


@pytest.mark.parametrize("options", [[], ["--tls"]])
def test_connections(bench: Any, options: list[str]) -> None:
    result = bench("connections", "--count", "40", *options)
    assert result["login_cpu_us"] > 0
    assert "bytes_per_session" in result
