"""Out of descriptors, in a process that may have only a few."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import resource, os, socket, sys, time
from tests.node.hub.rig import Rig
from tests.node.hub.echo import framed
from node.hub.settings import HubSettings

rig = Rig(settings=HubSettings(descriptors_reserved=0))
first = rig.connect()
# Peers that exist already, so that from here on only the hub needs descriptors.
waiting = [rig.peer() for _ in range(12)]
lowest_free = os.dup(0)
os.close(lowest_free)
resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free + 2, lowest_free + 2))  # room for two more

rig.pump(lambda: rig.hub.statistics().refused.get("no_descriptor") == 10)
passes, events = rig.hub.statistics().passes, rig.hub.statistics().events
for _ in range(100):
    rig.turn()
assert rig.hub.statistics().passes == passes, "the hub spins on an accept that fails"
assert rig.hub.statistics().accept_errors == 0
assert len(rig.handler.open) == 3

for peer in waiting[2:]:
    assert peer.rest() == b"refused no_descriptor"
first.send(framed(b"x"))
assert first.read(5) == framed(b"x")

# One leaves, so there is room for one.
waiting[0].close()
rig.pump(lambda: rig.handler.ends)
late = rig.connect()
late.send(framed(b"y"))
assert late.read(5) == framed(b"y")
print("fine")
"""

NO_SPARE = """
import resource, os, socket
from tests.node.hub.rig import Rig
from tests.node.hub.echo import framed
from node.hub.settings import HubSettings

rig = Rig(settings=HubSettings(descriptors_reserved=0, accept_pause_s=3))
first = rig.connect()
late = rig.peer()
os.close(rig.hub._acceptor._spare)          # somebody has taken even that one
rig.hub._acceptor._spare = -1
taken = [os.dup(0) for _ in range(3)]
resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, max(taken) + 1))
rig.turn()
passes = rig.hub.statistics().passes
for _ in range(100):
    rig.turn()
assert rig.hub.statistics().passes == passes, "the hub spins on an accept that fails"
first.send(framed(b"x"))
assert first.read(5) == framed(b"x")
for fd in taken:
    os.close(fd)
rig.seconds(3)
rig.pump(lambda: len(rig.handler.open) == 2)
assert rig.hub._acceptor._spare >= 0, "the spare one is opened again"
print("fine")
"""

RAISED = """
import resource
from node.hub.memory import descriptors_max, raise_descriptors_max

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
assert descriptors_max() == 64
raise_descriptors_max()
assert descriptors_max() == hard > 64
raise_descriptors_max()
assert descriptors_max() == hard
print("fine")
"""


@pytest.mark.parametrize(
    "script", [SCRIPT, NO_SPARE, RAISED], ids=["with a spare one", "with none", "the soft limit"]
)
def test_out_of_descriptors(script):
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "fine\n"
