"""The service under a real systemd, where the machine lets us have one: what a stand-in for it can't show."""

from __future__ import annotations

import os

import pytest

from ops.faults.unavailable import UnavailableError
from ops.systemd import apart
from ops.systemd.drill import run, systemd


def test_a_node_that_came_by_an_upgrade_is_stopped_as_gently_as_any() -> None:
    """systemd held it for another's child, and killed it in the moment in which it asked it to stop."""
    said: list[str] = []
    try:
        result = run(("confined", "reload", "stop"), said.append)
    except UnavailableError as unavailable:
        pytest.skip(str(unavailable))
    assert result["steps"] == {"start": [], "confined": [], "reload": [], "stop": []}, result["journal"]
    assert said == ["start: good", "confined: good", "reload: good", "stop: good"]


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("TOOLS", ("unshare", "no-such-tool"), "no-such-tool: apt-get install"),
        ("_cgroups", lambda: None, "needs cgroup v2"),
    ],
)
def test_where_there_can_be_none_it_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: object, cause: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(apart, name, value)
    if not apart.SYSTEMD.exists():
        pytest.skip("there is no systemd here at all, and it says so")
    assert systemd() == 2
    assert cause in capsys.readouterr().err


def test_without_root_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1_000)
    assert apart.why_not() == "a systemd of its own needs root"
