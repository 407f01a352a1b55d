"""The disk is full, and free again: nothing accepted is lost, and no restart is needed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from verdicts import must_hold

from ops.bench.node_process import NodeStartError
from ops.faults.drill import Drill
from ops.faults.plan import Kind, make_plan

DISK_BYTES = 64 << 20


def test_a_full_disk_holds_mail_up_and_loses_none(make_drill: Callable[..., Drill]) -> None:
    drill = make_drill(seed=50, disk_bytes=DISK_BYTES)
    drill.begin(rate=40)
    drill.crowd.stop(drill.crowd.workers[-1])  # their mail must go to the disk
    pid = drill.stage.node.pid
    drill.suffer(make_plan(50, {Kind.DISK_FULL: 2}, pause=1.0))
    time.sleep(1.0)
    assert drill.stage.is_running
    assert drill.stage.node.pid == pid
    must_hold(drill.conclude(), messages=60)


def test_a_node_on_a_full_disk_says_so_and_starts_once_there_is_space(
    make_drill: Callable[..., Drill],
) -> None:
    drill = make_drill(seed=51, disk_bytes=DISK_BYTES)
    drill.begin(rate=40)
    drill.crowd.stop(drill.crowd.workers[-1])
    drill.suffer(make_plan(51, {Kind.CLIENT_PAUSE: 1}, pause=0.5))
    assert drill.disk is not None
    drill.disk.fill()
    time.sleep(0.5)
    drill.stage.kill()
    with pytest.raises(NodeStartError, match=r"(?i)no space|disk is full"):
        drill.stage.start()
    drill.disk.free()
    drill.stage.start()
    must_hold(drill.conclude(), messages=30)
