"""Many worlds of the mail core, a seed each: `python -m tests.sim.mail --seeds A:B [--json]`, `--seed S` for one again.

Exit status 1 if a promise was broken; the seed and the judge's words are printed.
"""

import argparse
import json
import sys
import tempfile
import time

import structlog

from tests.node.mail.stored import Stored
from tests.node.mail.world import run as run_world


def run(seed: int, steps: int, *, stored: bool) -> None:
    """One world. Raises what a judge, the core's own check or an accident raises."""
    if not stored:
        run_world(seed, steps)
        return
    with tempfile.TemporaryDirectory(prefix="waystation-sim-") as path:
        storage = Stored(f"{path}/store")
        try:
            run_world(seed, steps, storage=storage)
        finally:
            storage.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    chosen = parser.add_mutually_exclusive_group()
    chosen.add_argument("--seeds", default="0:1000", help="first and end, such as 0:1000")
    chosen.add_argument("--seed", type=int, help="run this one again, with its traceback")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--stored", action="store_true", help="on a real store instead of dictionaries")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    if asked.seed is not None:
        run(asked.seed, asked.steps, stored=asked.stored)
        return 0
    first, end = map(int, asked.seeds.split(":"))
    began = time.perf_counter()
    broken = []
    for seed in range(first, end):
        try:
            run(seed, asked.steps, stored=asked.stored)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's
            words = str(error).splitlines()[:1] or ["no words"]
            broken.append({"seed": seed, "words": f"{type(error).__name__}: {words[0]}"})
            if not asked.json:
                sys.stdout.write(f"seed {seed}: {broken[-1]['words']}\n")
        if sys.stderr.isatty() and seed % 50 == 0:
            sys.stderr.write(f"\r{seed - first} of {end - first}")
    rate = (end - first) / (time.perf_counter() - began)
    if asked.json:
        sys.stdout.write(json.dumps({"seeds": end - first, "seeds_per_s": rate, "broken": broken}) + "\n")
    else:
        sys.stdout.write(f"{end - first} seeds, {rate:.1f} a second, {len(broken)} broken\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
