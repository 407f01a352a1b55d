"""The floor: asked for, granted, given back; and nobody waits for somebody who went away."""

from __future__ import annotations

import threading

import pytest

from store import floor
from store.floor import PROBE_EVERY, ROWS_PER_SWITCH, SULK_BATCHES, SWITCHES_MIN, Floor, Slices


def test_nobody_asks_until_waiting_was_noticed_and_then_tries_again_now_and_then() -> None:
    ours = Floor()
    ours.learn(SWITCHES_MIN - 1, 1)
    ours.learn(20, 20 * ROWS_PER_SWITCH)
    assert not ours.wanted
    ours.learn(20, 19 * ROWS_PER_SWITCH)
    assert ours.wanted
    ours.until_probe -= PROBE_EVERY
    assert not ours.wanted


def test_granting_what_nobody_asked_for_returns_at_once() -> None:
    ours = Floor()
    ours.grant()
    assert ours.grants == 0


def test_a_loop_that_does_not_come_is_not_waited_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "PATIENCE_SECONDS", 0.001)
    ours = Floor()
    ours.until_probe = 5
    assert not ours.take()
    assert not ours.wanted
    for _ in range(SULK_BATCHES):
        ours.learn(1_000, 1)
        assert not ours.wanted
    ours.learn(1_000, 1)
    assert ours.wanted
    ours.grant()  # the request was withdrawn: this must not wait
    assert ours.grants == 0


def test_the_loop_stands_still_while_the_floor_is_held() -> None:
    ours = Floor()
    ours.until_probe = 1
    order: list[str] = []
    asked = threading.Event()

    def committer() -> None:
        slices = Slices(ours, asked.set)
        slices.step()
        order.append("committer works")
        slices.end()
        slices.end()

    thread = threading.Thread(target=committer)
    thread.start()
    assert asked.wait(10)
    while not ours.grants:
        ours.grant()
    order.append("loop goes on")
    thread.join()
    assert order == ["committer works", "loop goes on"]


def test_the_floor_is_given_back_after_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(floor, "SLICE_SECONDS", 0.0)
    ours = Floor()
    ours.until_probe = 1
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            ours.grant()

    thread = threading.Thread(target=loop)
    thread.start()
    slices = Slices(ours, lambda: None)
    for _ in range(5):
        slices.step()
    slices.end()
    stop.set()
    thread.join()
    assert ours.grants >= 1
