"""Pairs and boxes come and go."""

import pytest

from node.mail import effects, loading
from node.mail.pair import Pair
from tests.node.mail.core import ALICE, BOB, CAROL, STREAM, Core

KEY = (BOB, ALICE, STREAM)


def test_all_who_wait_for_a_pair_get_it_in_order() -> None:
    core = Core()
    seen: list[tuple[str, Pair]] = []
    loading.with_pair(core.state, KEY, lambda pair: seen.append(("first", pair)))
    loading.with_pair(core.state, KEY, lambda pair: seen.append(("second", pair)))
    assert core.state.loads_waiting == 2
    core.loaded(KEY, high=4)
    assert [who for who, _ in seen] == ["first", "second"]
    assert seen[0][1] is seen[1][1]
    assert seen[0][1].high == 4


def test_when_it_cannot_be_read_they_are_told() -> None:
    core = Core()
    told: list[str] = []
    loading.with_pair(core.state, KEY, lambda pair: told.append("then"), lambda: told.append("otherwise"))
    core.asked()
    loading.failed(core.state, KEY)
    assert told == ["otherwise"]
    assert (core.state.loads_waiting, core.state.loads_of) == (0, {})


def test_no_more_wait_than_may() -> None:
    core = Core(loads_waiting_max=1)
    assert loading.with_pair(core.state, KEY, pytest.fail)
    assert not loading.with_pair(core.state, (BOB, CAROL, STREAM), pytest.fail)
    assert loading.with_pair(core.state, (BOB, CAROL, STREAM), pytest.fail, always=True)


def test_idle_pairs_go_when_there_are_too_many_and_boxes_with_them() -> None:
    core = Core(pairs_cached_max=1)
    core.pair(ALICE, BOB)
    for pair in core.state.pairs.values():
        pair.used = False
    core.pair(ALICE, CAROL)
    assert list(core.state.pairs) == [(CAROL, ALICE, STREAM)]
    assert list(core.state.boxes) == [CAROL]


def test_a_box_is_loaded_once_for_all() -> None:
    core = Core()
    seen: list[object] = []
    loading.with_box(core.state, BOB, seen.append)
    loading.with_box(core.state, BOB, seen.append)
    assert core.state.out == [(effects.LOAD_BOX, BOB)]
    loading.box_loaded(core.state, BOB, (3, 30), 0, known=True)
    assert seen[0] is seen[1]
