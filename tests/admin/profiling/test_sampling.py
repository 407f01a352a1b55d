"""Samples fall where threads are; what they cost and what was left out is told."""

import os
import signal
import sys
import threading
import time
from collections import Counter

import pytest

from admin.profiling import report, sampling
from admin.profiling import ticking as ticking_module
from admin.profiling.places import Places
from admin.profiling.sampling import Sampler
from admin.profiling.ticking import NoTimer, ticking


def hold(here: threading.Event, leave: threading.Event) -> None:
    """A place to be found in: busy, for it isn't where threads rest."""
    here.set()
    while not leave.is_set():
        sum(range(1_000))


def rest(here: threading.Event, leave: threading.Event) -> None:
    here.set()
    leave.wait()


class Held:
    """A thread in one of the two."""

    def __init__(self, function: object) -> None:
        self.leave = threading.Event()
        here = threading.Event()
        self.thread = threading.Thread(target=function, args=(here, self.leave), name="held up; here")  # type: ignore[arg-type]
        self.thread.start()
        assert here.wait(10)

    def __enter__(self) -> "Held":
        return self

    def __exit__(self, *_: object) -> None:
        self.leave.set()
        self.thread.join()


def test_a_thread_is_found_in_the_function_that_it_is_in() -> None:
    with Held(hold) as held:
        sampler = Sampler(100, 0, lambda: None)
        sampler.name_threads()
        for _ in range(3):
            sampler.take(sys._current_frames(), threading.get_ident())
        found = sampler.samples()
        (key,) = (key for key in found.busy if key[0] == held.thread.ident)
        assert found.busy[key] == 3
        assert hold.__code__ in key[2]
        assert key[2][-1].co_name == "_bootstrap"
        told = report.told(found, 0, top=50, resting=False, with_stacks=True)
    assert {"thread": "held up; here", "busy": 3, "resting": 0} in told["threads"]
    whole = {row["function"].rpartition(":")[2]: row for row in told["by_whole"]}
    assert whole["hold"]["whole_share"] > 0
    (line,) = [one for one in told["stacks"] if one.startswith("held_up:_here;")]
    assert line.endswith(" 3")
    assert ":hold" in line


def test_a_thread_that_rests_is_counted_apart() -> None:
    with Held(rest) as held:
        while "wait" not in str(sys._current_frames()[held.thread.ident or 0].f_code):
            pass
        sampler = Sampler(100, 0, lambda: None)
        sampler.name_threads()
        sampler.take(sys._current_frames(), threading.get_ident())
        found = sampler.samples()
    assert [key for key in found.busy if key[0] == held.thread.ident] == []
    assert sum(count for key, count in found.resting.items() if key[0] == held.thread.ident) == 1
    shown = report.named(found, 0, Places(), resting=True)
    assert any(stack[0] == "held_up:_here" for stack in shown)
    assert not any(stack[0] == "held_up:_here" for stack in report.named(found, 0, Places()))


def test_the_loops_stack_begins_with_its_task() -> None:
    def unrolled_run() -> None:
        step()

    def step() -> None:
        sampler.take({7: sys._getframe()})

    sampler = Sampler(100, 7, lambda: "node.hub.Hub.run")
    unrolled_run()
    (stack,) = report.named(sampler.samples(), 7, Places())
    assert stack[1] == "task_node.hub.Hub.run"
    assert [name.rpartition(".")[2] for name in stack[2:]] == ["step"]


def test_stacks_beyond_the_bound_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "STACKS_MAX", 1)
    sampler = Sampler(100, 0, lambda: None)

    def one() -> None:
        sampler.take({7: sys._getframe()})

    def other() -> None:
        sampler.take({7: sys._getframe()})

    one()
    one()
    other()
    found = sampler.samples()
    assert (sum(found.busy.values()), found.beyond) == (2, 1)


def test_a_deep_stack_is_cut_at_its_outer_end() -> None:
    sampler = Sampler(100, 0, lambda: None)

    def deeper(left: int) -> None:
        if left:
            deeper(left - 1)
        else:
            sampler.take({7: sys._getframe()})

    deeper(2 * sampling.DEPTH_MAX)
    ((_, _, codes),) = sampler.samples().busy
    assert codes == (deeper.__code__,) * sampling.DEPTH_MAX


def test_a_thread_takes_samples_until_it_is_stopped() -> None:
    sampler = Sampler(1_000, 0, lambda: None)
    thread = threading.Timer(0.05, sampler.stop.set)
    thread.start()
    sampler.run()
    thread.join()
    found = sampler.samples()
    assert found.taken > 0
    assert found.seconds > 0.04
    assert found.cost_seconds > 0


def spin(until: float) -> None:
    """No system call in it: a thread that asks for the lock would hardly ever find it here."""
    while time.perf_counter() < until:
        sum(range(100))
        os.getpid()


def test_a_tick_finds_the_main_thread_where_it_is() -> None:
    sampler = Sampler(500, threading.get_ident(), lambda: None)
    with ticking(500, sampler.tick):
        spin(time.perf_counter() + 0.3)
    seen = sampler.samples()
    of_spin = sum(count for (_, _, codes), count in seen.busy.items() if spin.__code__ in codes)
    assert of_spin > 20
    assert signal.getsignal(ticking_module.SIGNAL) is signal.SIG_IGN
    spin(time.perf_counter() + 0.02)
    assert sampler.samples().taken == seen.taken


def test_what_a_tick_raises_goes_nowhere_and_calls_that_it_interrupts_go_on() -> None:
    ticks = 0

    def fail(frame: object) -> None:
        nonlocal ticks
        ticks += 1
        raise RuntimeError

    reading, writing = os.pipe()
    with ticking(1_000, fail), open(reading, "rb"), open(writing, "wb") as end:

        def say() -> None:
            end.write(b"x")
            end.flush()

        threading.Timer(0.1, say).start()
        assert os.read(reading, 1) == b"x"
        time.sleep(0.02)
    assert ticks > 1


def test_another_thread_can_have_no_ticks() -> None:
    failed: list[Exception] = []

    def begin() -> None:
        try:
            with ticking(100, lambda frame: None):
                pass
        except NoTimer as error:
            failed.append(error)

    thread = threading.Thread(target=begin)
    thread.start()
    thread.join()
    assert len(failed) == 1


def test_all_stacks_together_are_bounded_and_the_rarest_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "STACK_BYTES_MAX", 12)
    stacks: Counter[tuple[str, ...]] = Counter({("a", "b"): 9, ("a", "c"): 5, ("a", "d"): 1})
    assert report.collapsed(stacks) == (["a;b 9", "a;c 5"], 1)


def test_a_function_that_calls_itself_is_counted_once_in_a_stack() -> None:
    found = report.tables(Counter({("t", "f", "f", "f"): 4}), 5)
    assert found["by_whole"] == [{"self_share": 1.0, "whole_share": 1.0, "samples": 4, "function": "f"}]
