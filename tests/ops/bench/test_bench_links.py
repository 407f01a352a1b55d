"""`bench links` measures every round between two processes, and prints one JSON object."""

import json
import subprocess
import sys

from ops.bench import links


def test_each_round_is_measured_at_both_ends() -> None:
    # In a process of its own: it sets up logs and the interpreter as a command may.
    done = subprocess.run(
        [sys.executable, "-m", "ops.bench.links", "--messages", "400", "--json"],
        capture_output=True,
        check=True,
        text=True,
        timeout=100,
    )
    result = json.loads(done.stdout)
    for wanted in links.rounds(400):
        measured = result[wanted.name]
        assert measured["messages_per_s"] > 0
        for name in ("send_cpu_us", "send_main_us", "receive_cpu_us", "receive_main_us"):
            assert measured[name] > 0
            assert (f"{name}_per_mb" in measured) == (wanted.size > 1_024)
