"""Verdicts on pictures made up: each sign alone makes a node worse, and what is usual doesn't."""

from typing import Any

import attrs
import pytest

from admin.reload.health import BACKLOG_LEAST, BACKLOG_PICTURES, Pulse, verdict

QUIET = (0,) * 32


def _lag(bucket: int, passes: int) -> tuple[int, ...]:
    return tuple(passes if index == bucket else 0 for index in range(32))


START = Pulse(0, 0, 0, QUIET, 0)
BEFORE = (START, Pulse(60, 0, 60_000, _lag(10, 30_000), 100))


def _after(**changes: object) -> tuple[Pulse, ...]:
    then = Pulse(70, 0, 70_000, _lag(10, 35_000), 100)
    return (attrs.evolve(then, **changes),) * BACKLOG_PICTURES  # type: ignore[arg-type]


def test_as_before_is_no_worse() -> None:
    assert verdict(BEFORE, _after()) == ""


def test_nothing_to_compare_is_no_verdict() -> None:
    assert verdict((), _after()) == ""
    assert verdict(BEFORE, ()) == ""


@pytest.mark.parametrize(("errors", "worse"), [(0, False), (4, False), (100, True)])
def test_errors(errors: int, worse: bool) -> None:
    assert verdict(BEFORE, _after(errors=errors)).startswith("errors") is worse


@pytest.mark.parametrize(("errors", "worse"), [(100, False), (500, True)])
def test_errors_that_were_there_before(errors: int, worse: bool) -> None:
    before = (START, attrs.evolve(BEFORE[-1], errors=600))
    assert verdict(before, _after(errors=600 + errors)).startswith("errors") is worse


def test_one_message_in_a_hundred_on_a_quiet_node() -> None:
    before = (START, Pulse(60, 0, 600, QUIET, 0))
    after = (Pulse(65, 5, 1_100, QUIET, 0),)
    assert verdict(before, after) == "errors: 5 in 500 events (1.00%; 0.00% before)"


@pytest.mark.parametrize(("bucket", "worse"), [(10, False), (14, False), (17, True)])
def test_loop_lag(bucket: int, worse: bool) -> None:
    lag = tuple(map(sum, zip(BEFORE[-1].lag_us, _lag(bucket, 1_000), strict=True)))
    assert verdict(BEFORE, _after(lag_us=lag)).startswith("loop lag") is worse


def test_a_loop_that_was_slow_before_is_not_worse_as_slow() -> None:
    before = (START, attrs.evolve(BEFORE[-1], lag_us=_lag(17, 30_000)))
    assert verdict(before, _after(lag_us=_lag(17, 31_000))) == ""


def test_few_passes_say_nothing_of_lag() -> None:
    lag = tuple(map(sum, zip(BEFORE[-1].lag_us, _lag(20, 50), strict=True)))
    assert verdict(BEFORE, _after(lag_us=lag)) == ""


def test_a_backlog_that_stays() -> None:
    assert verdict(BEFORE, _after(backlog=BACKLOG_LEAST + 1)).startswith("backlog")
    assert verdict(BEFORE, _after(backlog=BACKLOG_LEAST)) == ""


def test_a_burst_is_no_backlog() -> None:
    after = (*_after(backlog=BACKLOG_LEAST * 10)[1:], *_after()[:1])
    assert verdict(BEFORE, after) == ""
    assert verdict(BEFORE, after[:1]) == ""


def test_a_backlog_that_was_usual() -> None:
    before = (attrs.evolve(START, backlog=BACKLOG_LEAST), BEFORE[-1])
    assert verdict(before, _after(backlog=BACKLOG_LEAST * 3)) == ""


MORE = (
    ("refused", "sends", "sends refused"),
    ("ended", "events", "connections ended by an error"),
    ("logins_failed", "logins", "logins failed"),
)


def counts(named: dict[str, int]) -> dict[str, Any]:
    """Fields whose names a test is given."""
    return named


@pytest.mark.parametrize(("what", "of", "told"), MORE)
def test_what_is_refused(what: str, of: str, told: str) -> None:
    """In a minute 10,000 of it and 100 refused; then 1,000 more of it."""
    before = (START, attrs.evolve(BEFORE[-1], **counts({of: 10_000, what: 100})))
    usual = attrs.evolve(_after()[0], **counts({of: 11_000, what: 110}))
    assert verdict(before, (usual,)) == ""
    assert verdict(before, (attrs.evolve(usual, **counts({what: 100 + 600})),)).startswith(told)
    few = attrs.evolve(usual, **counts({of: 10_010, what: 110}))
    assert verdict(before, (few,)) == "", "ten are no trend"


def test_what_was_refused_before_as_often() -> None:
    before = (START, attrs.evolve(BEFORE[-1], sends=10_000, refused=5_000))
    assert verdict(before, (attrs.evolve(_after()[0], sends=11_000, refused=5_900),)) == ""


@pytest.mark.parametrize(("faults", "worse"), [(0, False), (4, False), (6, True)])
def test_faults_beside_the_hub(faults: int, worse: bool) -> None:
    assert verdict(BEFORE, _after(faults=faults)).startswith("faults") is worse


@pytest.mark.parametrize("what", ["accepted", "delivered"])
@pytest.mark.parametrize(
    ("at_s", "count", "worse"), [(80, 6_200, True), (80, 7_000, False), (70, 6_000, False), (90, 6_000, True)]
)
def test_messages_that_come_to_nothing(what: str, at_s: int, count: int, worse: bool) -> None:
    """100 a second before."""
    before = (START, attrs.evolve(BEFORE[-1], **counts({what: 6_000})))
    after = attrs.evolve(_after()[0], at_s=at_s, **counts({what: count}))
    assert (what in verdict(before, (after,))) is worse


def test_a_node_where_little_was_said_may_fall_silent() -> None:
    before = (START, attrs.evolve(BEFORE[-1], accepted=240))
    assert verdict(before, (attrs.evolve(_after()[0], at_s=100, accepted=240),)) == ""
