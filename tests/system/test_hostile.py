"""Hostile clients beside good ones: no good connection notices, and the node's memory stays within bounds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from verdicts import must_hold

from node.accounts.provision import provision
from ops.faults.child import Child
from ops.faults.drill import Drill
from ops.faults.raw import RawPhone
from tests.fuzz.mutate import mutated

SLOTH = 15_559_999_999
SEED = bytes(range(32))
HOSTILE_SECONDS = 4.0
GROWTH_MAX = 48 << 20
"""More than a hundred mute connections and their TLS, a full window for the sloth, and what an allocator keeps."""


def add_sloth(data: Path) -> None:
    key = Ed25519PrivateKey.from_private_bytes(SEED).public_key()
    provision(data, [(SLOTH, key.public_bytes(Encoding.Raw, PublicFormat.Raw), b"slowness")])


def connections(drill: Drill) -> dict[str, int]:
    """How often each good client has connected."""
    return {user: status["connections"] for user, status in drill.crowd.status().items()}


def pester(host: str, port: int, until: float) -> int:
    """Say mutated frames of the fuzzer, connection after connection; how many were said."""
    said = 0
    items = mutated("client", 7)
    while time.monotonic() < until:
        with (
            suppress(OSError),
            RawPhone(host, port, tls=False, source="127.66.0.6", seconds_max=0.2) as phone,
        ):
            phone.hello()
            for item in islice(items, 20):
                phone.socket.sendall(item)
                said += 1
            while True:
                phone.receive()
    return said


def test_good_clients_do_not_notice_hostile_ones(make_drill: Callable[..., Drill], tmp_path: Path) -> None:
    drill = make_drill(seed=60, workers=2, others=[SLOTH], prepare=add_sloth)
    drill.begin(rate=25)
    stage = drill.stage
    (tmp_path / "seed").write_bytes(SEED)

    def hostile(kind: str, port: int, address: str, *more: str) -> Child:
        command = [
            sys.executable,
            "-m",
            "ops.faults.hostile",
            kind,
            stage.host,
            str(port),
            "--source",
            address,
        ]
        return Child([*command, *more], tmp_path / f"{kind}.log")

    before, connected = stage.node.rss_bytes(), connections(drill)
    with (
        hostile("garbage", stage.port, "127.66.0.1", "--seed", "1") as garbage,
        hostile("garbage", stage.plain_port, "127.66.0.2", "--seed", "2", "--no-tls") as plain_garbage,
        hostile("flood", stage.plain_port, "127.66.0.3") as flood,
        hostile("mute", stage.port, "127.66.0.4") as mute,
        hostile(
            "sloth",
            stage.plain_port,
            "127.66.0.5",
            *("--no-tls", "--user", str(SLOTH), "--seed-file", str(tmp_path / "seed")),
            *("--history", str(drill.histories / "sloth.jsonl")),
        ) as sloth,
    ):
        mutants = pester(stage.host, stage.plain_port, time.monotonic() + HOSTILE_SECONDS)
        sloth.tell("trickle")
        time.sleep(2.0)
        counted = {child: child.ask("report") for child in (garbage, plain_garbage, flood, mute)}
        growth = stage.node.rss_bytes() - before
        for child in counted:
            child.end()
        drill.crowd.hush()
        drill.crowd.drain(30)
        sloth.tell("drain")
        deadline = time.monotonic() + 30
        while not (report := sloth.ask("report")).get("drained"):
            assert time.monotonic() < deadline, report
            time.sleep(0.2)
        sloth.end()
    print({child.name: counts for child, counts in counted.items()}, report, growth)
    assert mutants > 100
    assert counted[garbage]["connections"] > 30
    assert counted[plain_garbage]["connections"] > 30
    assert counted[flood]["logins"] > 100
    assert counted[mute]["connections"] > 50
    assert connections(drill) == connected, "a good client had to reconnect"
    assert growth < GROWTH_MAX
    outcome = drill.conclude()
    must_hold(outcome, messages=100)
    assert outcome.report.totals["waiting"] == 0
