"""Power loss under the store alone: what it said is committed is there afterwards; with a lying fsync it isn't."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ops.powerloss.image import Account, Cut, Loss
from ops.powerloss.watch import WatchedDirectory

WRITER = Path(__file__).with_name("store_writer.py")
ROOT = Path(__file__).parents[2]


class StoreUnderTest:
    """A store in `root/deep/data`, whose process is killed and whose disk loses power."""

    def __init__(self, folder: Path, shim: Path) -> None:
        (folder / "root").mkdir()
        self.watched = WatchedDirectory(folder / "root", folder / "work", shim)
        self.data = folder / "root" / "deep" / "data"
        self.last = -1

    def write_and_kill(self, batches: int, *, lie: bool = False) -> None:
        """Let it commit about so many batches, then kill it."""
        command = [sys.executable, str(WRITER), str(self.data), "write", str(self.last + 1)]
        environment = os.environ | self.watched.environment(lie) | {"PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
            assert process.stdout is not None
            for count, line in enumerate(process.stdout, 1):
                self.last = int(line)
                if count == batches:
                    process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL

    def lose_power(self, cut: Cut) -> Account:
        return self.watched.lose_power(cut)

    def missing(self) -> list[str]:
        """What was committed and isn't there; an unusable store lacks everything."""
        command = [sys.executable, str(WRITER), str(self.data), "check", str(self.last)]
        environment = os.environ | self.watched.environment() | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            return [f"everything: {done.stderr.strip().splitlines()[-1]}"]
        missing: list[str] = json.loads(done.stdout)
        return missing


@pytest.fixture
def store(tmp_path: Path, shim: Path) -> StoreUnderTest:
    return StoreUnderTest(tmp_path, shim)


@pytest.mark.parametrize("loss", [Loss.UNSYNCED, Loss.TORN])
def test_what_was_committed_survives_power_loss_after_power_loss(store: StoreUnderTest, loss: Loss) -> None:
    rng = random.Random(11)
    for seed in range(4):
        store.write_and_kill(rng.randint(1, 15))
        store.lose_power(Cut(loss, seed, sector=rng.choice((512, 4096))))
        assert store.missing() == []


def test_with_an_fsync_that_lies_the_same_run_fails(store: StoreUnderTest) -> None:
    store.write_and_kill(3)
    store.lose_power(Cut())
    assert store.missing() == []
    store.write_and_kill(10, lie=True)
    assert store.lose_power(Cut()).dropped_bytes > 100_000
    assert len(store.missing()) > 0


def test_a_store_that_was_never_synced_is_not_there_at_all(store: StoreUnderTest) -> None:
    store.write_and_kill(3, lie=True)
    store.lose_power(Cut())
    assert not store.data.exists()
