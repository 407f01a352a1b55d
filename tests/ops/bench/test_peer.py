"""The comparison with the real ejabberd, if it is installed: it starts, does the exchange, and is gone afterwards."""

from pathlib import Path

import pytest
from attrs import evolve

from ops.bench import connections, ejabberd, exchange, process, waiting
from ops.bench.ejabberd import EjabberdMissingError, EjabberdProcess, find_ejabberd
from ops.bench.ejabberd_configuration import Profile
from ops.bench.exchange import Exchange
from ops.bench.screen import Screen
from ops.bench.server import ejabberd as start
from ops.bench.waiting import Waiting
from tests.ops.bench.installed import with_ejabberd

SMALL = Exchange(users=4, window=3, seconds=0.3, warm_up_seconds=0.1)


@with_ejabberd
@pytest.mark.system
@pytest.mark.parametrize(("profile", "tls"), [("lean", False), ("managed", True), ("debian", False)])
def test_online_exchange(directory: Path, profile: Profile, tls: bool) -> None:
    with start(directory, SMALL.shape.users, tls=tls, profile=profile) as server:
        result = exchange.measure(server, SMALL, Screen())
    assert result["messages"] > 50
    assert result["node_cpu_us_per_message"] > 0
    assert (result["send_to_accepted_ms"]["p50"] is not None) == (profile == "managed")


@with_ejabberd
@pytest.mark.system
def test_offline_exchange(directory: Path) -> None:
    wanted = Waiting(senders=3, recipients=4, partners=2, window=5, messages=90)
    with start(directory, wanted.shape.users, profile="managed") as server:
        result = waiting.measure(server, wanted, Screen())
    assert result["messages"] == 90


@with_ejabberd
@pytest.mark.system
def test_idle_sessions(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "_WARM_UP", 6)
    wanted = connections.Connections(60)
    with start(directory, wanted.users) as server:
        result = connections.measure(server, wanted, Screen())
    assert result["login_cpu_us"] > 0


@with_ejabberd
@pytest.mark.system
def test_it_ends_at_the_end_of_its_input(directory: Path) -> None:
    peer = EjabberdProcess.start(directory, 1)
    helpers = process.children(peer.pid)
    peer.stop()
    assert helpers
    assert not any(process.runs(pid) for pid in (peer.pid, *helpers))


def test_a_missing_peer_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ejabberd, "_LIBRARIES", ())
    with pytest.raises(EjabberdMissingError, match="apt-get install"):
        find_ejabberd()


def test_the_generator_runs_the_same_shape_for_every_dialect() -> None:
    assert evolve(SMALL, users=5).shape.users == 6
