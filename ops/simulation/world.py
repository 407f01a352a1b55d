"""A world: machines, links and a clock, to which the steps of a plan are done; then peace, rest, and the verdicts.

What the nodes do, what clients want of them and which promises are checked is the scenario's. This module must never
know any of it.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

import attrs
import structlog

from ops.simulation.checkers.base import Checker, Violation
from ops.simulation.clock import Clock, TooManyEventsError
from ops.simulation.disk import CommitFault, Image
from ops.simulation.machine import Machine, SimNode
from ops.simulation.network import Network, Weather
from ops.simulation.plan import Plan, Step
from ops.simulation.trace import DiskLost, Fault, Peace, Trace

ROUND_MS: Final = 100
ROUNDS_MAX: Final = 100
"""Quiet rounds after which a world must be at rest, if its scenario knows no better."""


class Scenario(Protocol):
    """What is played in a world. Made anew for each run, as `Scenario(world)`."""

    name: ClassVar[str]
    tick_ms: ClassVar[int]
    rounds_max: ClassVar[int]
    checkers: Sequence[Checker]
    totals: dict[str, int]

    def __init__(self, world: World) -> None: ...

    @classmethod
    def draw(cls, seed: int, nodes: int | None, steps: int) -> Plan:
        """Everything that will be done to a world, from a seed."""
        ...

    def node(self, machine: Machine) -> SimNode:
        """One more life of a node."""
        ...

    def act(self, step: Step) -> bool:
        """Do a step that isn't a fault. False if there is no such kind."""
        ...

    def rest(self) -> bool:
        """Asked after each quiet round: whether everything that was going on has ended."""
        ...

    def restless(self) -> str:
        """What hasn't."""
        ...


@attrs.frozen(slots=True)
class Outcome:
    """How a run ended. `rule` is empty if every promise held."""

    seed: int
    rule: str
    words: str
    totals: dict[str, int]
    digest: str


class World:
    """One run."""

    def __init__(
        self, plan: Plan, scenario: type[Scenario], *, digest: bool = False, keep: bool = False
    ) -> None:
        self.plan = plan
        self.clock = Clock()
        self.trace = Trace(self.clock, digest=digest, keep=keep)
        self.weather = Weather(**plan.knobs.get("weather", {}))
        self.network = Network(plan.seed, plan.nodes, self.clock, self.weather, self._arrived)
        self.totals = dict.fromkeys(("steps", "faults"), 0)
        self.machines: list[Machine] = []
        self.images: dict[tuple[int, int], Image] = {}
        self.peaceful = False
        self.scenario = scenario(self)
        for number in range(plan.nodes):
            self.machines.append(
                Machine(number, plan.seed, self.clock, self.trace, self.scenario.node, scenario.tick_ms)
            )
        for checker in self.scenario.checkers:
            for kind, observer in checker.subscriptions().items():
                self.trace.subscribe(kind, observer)  # type: ignore[arg-type]

    def _arrived(self, receiver: int, sender: int, channel: str, message: Any) -> None:
        self.machines[receiver].deliver(sender, channel, message)

    # ---- a run ----------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Do all of it. Whatever is raised on the way, by a checker or by a defect, is in the outcome."""
        rule = words = ""
        try:
            with _hushed():
                self._live()
        except Violation as violation:
            rule, words = violation.rule, f"at {self.clock.now} ms: {violation.words}"
        except TooManyEventsError as error:
            rule, words = "bounded", f"at {self.clock.now} ms: {error}"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this run has found
            rule, words = _defect(error)
            words = f"at {self.clock.now} ms: {words}"
        finally:
            for machine in self.machines:
                machine.crash("the end")
        first = self.trace.broken
        if first is not None:
            rule, words = first.rule, f"at {self.trace.broken_at} ms: {first.words}"
        totals = {**self.totals, **self.scenario.totals, "events": self.clock.events, "ms": self.clock.now}
        totals |= {f"messages {what}": count for what, count in self.network.counts.items() if count}
        return Outcome(self.plan.seed, rule, words, totals, self.trace.digest())

    def _live(self) -> None:
        for machine in self.machines:
            machine.start()
        for step in self.plan.steps:
            self.clock.run_until(step.at)
            self.totals["steps"] += 1
            self._apply(step)
            self._stop_if_broken()
        self.make_peace()
        for _ in range(self.scenario.rounds_max):
            self.clock.run_until(self.clock.now + ROUND_MS)
            self._stop_if_broken()
            if self.scenario.rest():
                break
        else:
            raise Violation("progress", self.scenario.restless())
        disks = {machine.number: machine.disk for machine in self.machines}
        for checker in self.scenario.checkers:
            checker.verdict(disks)

    def _stop_if_broken(self) -> None:
        if self.trace.broken is not None:
            raise self.trace.broken

    def make_peace(self) -> None:
        """Links and disks are whole, and every node runs."""
        self.peaceful = True
        self.network.heal(Weather())
        for machine in self.machines:
            machine.disk.full = False
            machine.disk.fault = None
            machine.slow.clear()
            machine.resume()
            machine.start()
        self.trace.observe(Peace())

    # ---- faults ---------------------------------------------------------------------------------------

    def _apply(self, step: Step) -> None:
        fault = getattr(self, f"_{step.kind}_fault", None)
        if fault is None:
            assert self.scenario.act(step), f"there is no step {step.kind!r}"
            return
        if fault(*step.arguments) is not False:
            self.totals[f"fault {step.kind}"] = self.totals.get(f"fault {step.kind}", 0) + 1
            self.totals["faults"] += 1
            self.trace.observe(Fault(step.kind, step.arguments))

    def _crash_fault(self, node: int) -> bool:
        was = self.machines[node].up
        self.machines[node].crash("crash")
        return was

    def _start_fault(self, node: int) -> bool:
        was = self.machines[node].up
        self.machines[node].start()
        return not was

    def _commit_fault_fault(self, node: int, fault: str) -> bool:
        machine = self.machines[node]
        if machine.up:
            machine.disk.fault = CommitFault[fault]
        return machine.up

    def _pause_fault(self, node: int) -> bool:
        self.machines[node].pause()
        return self.machines[node].paused

    def _resume_fault(self, node: int) -> bool:
        was = self.machines[node].paused
        self.machines[node].resume()
        return was

    def _cut_fault(self, a: int, b: int) -> None:
        self.network.cut(a, b)

    def _mend_fault(self, a: int, b: int) -> None:
        self.network.mend(a, b)

    def _split_fault(self, side: Sequence[int]) -> None:
        self.network.split(frozenset(side))

    def _heal_fault(self) -> None:
        self.network.heal(self.weather)

    def _weather_fault(
        self, a: int, b: int, loss: float, double: float, reorder: bool, low: int, high: int
    ) -> None:
        self.network.set_weather(a, b, Weather(loss, double, reorder, low, high))

    def _clear_fault(self, a: int, b: int) -> None:
        self.network.set_weather(a, b, self.weather)

    def _jump_fault(self, node: int, by_ms: int) -> None:
        self.machines[node].times.jump(by_ms)

    def _full_fault(self, node: int) -> None:
        self.machines[node].disk.full = True

    def _roomy_fault(self, node: int) -> bool:
        was = self.machines[node].disk.full
        self.machines[node].disk.full = False
        return was

    def _slow_fault(self, node: int, group: int, ms: int) -> None:
        self.machines[node].slow[group] = ms

    def _fast_fault(self, node: int, group: int) -> bool:
        return self.machines[node].slow.pop(group, None) is not None

    def _image_fault(self, node: int, slot: int) -> None:
        self.images[node, slot] = self.machines[node].disk.image()

    def _restore_fault(self, node: int, slot: int) -> bool:
        image = self.images.get((node, slot))
        if image is None:
            return False
        self.machines[node].crash("restore")
        self.machines[node].disk.restore(image)
        self.trace.observe(DiskLost(node, "an older one"))
        return True

    def _wipe_fault(self, node: int) -> None:
        self.machines[node].crash("wipe")
        self.machines[node].disk.wipe()
        self.trace.observe(DiskLost(node, "an empty one"))


@contextmanager
def _hushed() -> Iterator[None]:
    """What nodes log is for operators, and takes longer to render than most of what they do."""
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        if before is None:
            structlog.reset_defaults()
        else:
            structlog.configure(**before)


def _defect(error: Exception) -> tuple[str, str]:
    """A rule that is the same wherever the same line is to blame, and words."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename]
    last = (ours or frames)[-1]
    where = f"{Path(last.filename).parent.name}/{Path(last.filename).name} {last.name}"
    words = str(error).splitlines()
    return f"defect: {type(error).__name__} in {where}", (
        f"line {last.lineno}: {words[0] if words else last.line}"
    )
