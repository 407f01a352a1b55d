"""Rates, levels, quantiles and queues from one sample after another."""

from math import exp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from admin.statistics import sampler
from admin.statistics.catalogue import CATALOGUE
from admin.statistics.figures import COUNTER, GAUGE, UNKNOWN
from admin.statistics.queues import ARRIVALS_MAX, QUEUES
from admin.statistics.series import SamplerState
from node.histogram import Histogram


def sampled(*figures: dict[str, Any], every_s: float = 1.0) -> SamplerState:
    state = SamplerState()
    for index, one in enumerate(figures):
        sampler.take(state, 100.0 + index * every_s, one)
    return state


def mail(**figures: int) -> dict[str, Any]:
    return {"mail": figures}


def only(state: SamplerState, name: str) -> dict[str, Any]:
    (line,) = [line for line in sampler.lines(state) if line["queue"] == name]
    return line


def test_a_steady_counter_has_its_rate_at_once_over_every_span() -> None:
    state = sampled(*(mail(sends=1_000 + 50 * second) for second in range(4)))
    assert sampler.rates(state)["mail.sends"] == pytest.approx((50, 50, 50))
    assert sampler.values(state)["mail.sends"] == 1_150
    assert sampler.row(state)["mail.sends"] == 50


def test_what_was_counted_before_the_first_look_is_no_rate() -> None:
    assert sampler.rates(sampled(mail(sends=10**9)))["mail.sends"] == (0, 0, 0)


def test_a_burst_is_forgotten_over_its_span() -> None:
    figures = [mail(sends=0)] * 100 + [mail(sends=1_000)] * 10
    fast, slow, slowest = sampler.rates(sampled(*figures))["mail.sends"]
    assert fast < 1 < slow < slowest * 10
    assert slow == pytest.approx(1_000 * (1 - exp(-0.1)) * exp(-0.9), rel=0.01)


@given(st.lists(st.floats(0.01, 30), min_size=1, max_size=40), st.floats(0.1, 1e6))
def test_a_constant_rate_is_found_whatever_the_intervals_are(intervals: list[float], per_s: float) -> None:
    state = SamplerState()
    now = 50.0
    sampler.take(state, now, {"logins": 0.0})
    for interval in intervals:
        now += interval
        sampler.take(state, now, {"logins": per_s * (now - 50.0)})
    assert sampler.rates(state)["logins"] == pytest.approx([per_s] * 3, rel=1e-6)


def test_a_counter_that_begins_anew_doesnt_go_back() -> None:
    state = sampled(mail(sends=500), mail(sends=7))
    assert sampler.row(state)["mail.sends"] == 7


def test_a_level_is_what_it_is_and_has_no_rate() -> None:
    state = sampled({"sessions": 5}, {"sessions": 3})
    assert (sampler.values(state)["sessions"], sampler.row(state)["sessions"]) == (3, 3)
    assert "sessions" not in sampler.rates(state)


def test_words_are_shown_and_not_kept_as_numbers() -> None:
    state = sampled(
        {"store": {"groups": {"mail": {"fatal": None}}}, "accounts": {"courier": {"gateway": "log"}}}
    )
    assert sampler.values(state)["accounts.courier.gateway"] == "log"
    assert sampler.values(state)["store.groups.mail.fatal"] is None
    assert sampler.row(state) == {}


def test_a_figure_that_is_gone_is_forgotten_and_a_new_one_begins() -> None:
    state = sampled({"hub": {"closed": {"bye": 4}}}, {"hub": {"closed": {"timeout": 9}}})
    assert set(sampler.values(state)) == {"hub.closed.timeout"}
    assert sampler.rates(state)["hub.closed.timeout"] == (0, 0, 0)


def test_a_figure_that_nobody_knows_is_a_level() -> None:
    assert CATALOGUE.of("what.is.this") is UNKNOWN
    assert CATALOGUE.of("hub.closed.bye").kind == COUNTER
    assert CATALOGUE.of("hub.connections").kind == GAUGE
    assert sampler.values(sampled({"what": {"is": 3}}))["what.is"] == 3


def test_a_name_at_the_end_of_a_path_may_have_points() -> None:
    figure = CATALOGUE.of("reload.modules.node.mail.acking")
    assert figure.labels(("reload", "modules", "node", "mail", "acking")) == (("module", "node.mail.acking"),)


def test_a_sample_at_the_same_moment_changes_nothing() -> None:
    state = sampled(mail(sends=1), mail(sends=5))
    sampler.take(state, 101.0, mail(sends=50))
    assert sampler.rates(state)["mail.sends"][0] == pytest.approx(4)


def test_quantiles_are_of_what_was_recorded_lately() -> None:
    lags = Histogram()

    def picture() -> dict[str, Any]:
        seen = lags.picture()
        return {"hub": {"lag_us": {"buckets": seen.buckets, "most": seen.most, "total": seen.total}}}

    state = SamplerState()
    lags.record(1_000_000)
    sampler.take(state, 1.0, picture())
    assert sampler.values(state)["hub.lag_us"]["p99"] == 0, "that was before"
    for _ in range(99):
        lags.record(100)
    lags.record(5_000)
    sampler.take(state, 2.0, picture())
    shown = sampler.values(state)["hub.lag_us"]
    assert (shown["count"], shown["most"], shown["p50"], shown["p99"]) == (101, 1_000_000, 127, 127)
    assert shown["mean"] == pytest.approx(1_014_900 / 101, abs=0.001)
    row = sampler.row(state)
    assert (row["hub.lag_us.p50"], row["hub.lag_us.p99"], row["hub.lag_us.most"]) == (127, 127, 8_191)
    sampler.take(state, 3.0, picture())
    assert sampler.row(state)["hub.lag_us.most"] == 0, "nothing came in the last interval"
    assert sampler.values(state)["hub.lag_us"]["p50"] == 127


# ---- queues ------------------------------------------------------------------------------------------


def test_a_queue_has_the_rates_of_what_comes_and_goes() -> None:
    state = sampled(*(mail(taken=100 * second, pending=20 * second) for second in range(5)))
    queue = only(state, "mail")
    assert queue["length"] == 80
    assert queue["in"] == pytest.approx([100] * 3)
    assert queue["out"] == pytest.approx([80] * 3)
    assert queue["drain_s"] is None, "it grows"


def test_a_queue_that_shrinks_says_when_it_will_be_empty() -> None:
    state = sampled(*(mail(taken=100 * second, pending=500 - 50 * second) for second in range(6)))
    queue = only(state, "mail")
    assert queue["length"] == 250
    assert queue["drain_s"] == pytest.approx(5, abs=0.01)


def test_an_empty_queue_is_drained_and_has_no_age() -> None:
    queue = only(sampled(mail(taken=0, pending=0), mail(taken=900, pending=0)), "mail")
    assert (queue["length"], queue["drain_s"], queue["age_s"]) == (0, 0, 0)
    assert queue["in"][0] == queue["out"][0] == pytest.approx(900)


def test_the_age_is_that_of_the_head() -> None:
    # ten come each second, and nothing goes until the fifth; then ten go each second as well
    waiting = [10, 20, 30, 40, 40, 40, 40]
    state = sampled(*(mail(taken=10 * (n + 1), pending=length) for n, length in enumerate(waiting)))
    assert only(state, "mail")["age_s"] == 3, "what came in the fourth sample is at the head in the seventh"


def test_a_stuck_queue_grows_older_and_older() -> None:
    state = sampled(*([mail(taken=0, pending=0)] + [mail(taken=3, pending=3)] * 61))
    assert only(state, "mail")["age_s"] == 60


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=ARRIVALS_MAX - 1))
def test_the_age_is_exact_to_a_sample_for_any_first_in_first_out_queue(moves: list[tuple[int, int]]) -> None:
    state = SamplerState()
    queue: list[float] = []
    taken = 0
    sampler.take(state, 0.0, mail(taken=0, pending=0))
    for second, (into, out) in enumerate(moves, 1):
        queue += [float(second)] * into
        taken += into
        del queue[:out]
        sampler.take(state, float(second), mail(taken=taken, pending=len(queue)))
        assert only(state, "mail")["age_s"] == (second - queue[0] if queue else 0)


def test_what_is_remembered_of_a_stuck_queue_is_bounded() -> None:
    state = sampled(*(mail(taken=second, pending=second) for second in range(5 * ARRIVALS_MAX)))
    assert len(state.lines["mail"].arrivals) <= ARRIVALS_MAX
    assert only(state, "mail")["age_s"] == pytest.approx(5 * ARRIVALS_MAX - 2, rel=0.01)


def test_a_queue_whose_coming_and_going_nobody_counts_shows_what_can_be_seen() -> None:
    lengths = [0, 4, 4, 1, 0, 2, 2]
    state = sampled(*(mail(wipes=length) for length in lengths))
    queue = only(state, "wipes")
    assert (queue["length"], queue["age_s"]) == (2, 2)
    assert state.lines["wipes"].came == 6
    assert state.lines["wipes"].went == 4


def test_every_group_of_the_store_has_its_queues() -> None:
    groups = {name: {"queue_rows": 5, "rows": 10, "cold_reads_waiting": 0} for name in ("mail", "account")}
    state = sampled({"store": {"groups": groups}})
    assert [line["queue"] for line in sampler.lines(state)][:2] == ["commits of account", "commits of mail"]


def test_queues_read_figures_that_are_known() -> None:
    known = {".".join(figure.path): figure for figure in CATALOGUE.figures}
    for queue in QUEUES:
        for path in (*queue.length, queue.limit or queue.length[0]):
            assert known[path].kind == GAUGE, path
        for path in (*queue.came, *queue.went):
            assert known[path].kind == COUNTER, path
        assert not (queue.came and queue.went), "the other follows"


def test_figures_beyond_the_bound_are_counted_and_none_that_there_is_room_for_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampler, "FIGURES_MAX", 2)
    figures = {"word": "yes", "mail": {"pending": 1, "taken": 2}, "other": 3}
    state = sampled(figures, {**figures, "word": "no"})
    assert state.left_out == 2
    assert state.words["word"].value == "no"
    assert "mail.pending" in sampler.values(state)
    sampler.take(state, 200.0, {"word": "yes"})
    assert state.left_out == 0
