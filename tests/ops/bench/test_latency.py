"""Tests of `ops.bench.latency`."""

from hypothesis import given
from hypothesis import strategies as st

from ops.bench.latency import LATENCY_US_MAX, Latencies, bucket_of, highest_of

microseconds = st.one_of(st.integers(0, 5_000), st.integers(0, LATENCY_US_MAX))


@given(microseconds)
def test_a_bucket_is_at_most_two_thousandths_wide(us: int) -> None:
    highest = highest_of(bucket_of(us))
    assert us <= highest
    assert highest - us <= us / 500


@given(microseconds, microseconds)
def test_longer_latencies_never_have_lower_buckets(one: int, other: int) -> None:
    assert (bucket_of(one) <= bucket_of(other)) or one > other


@given(st.lists(microseconds, min_size=1, max_size=200), st.sampled_from([0.1, 50.0, 99.0, 99.9, 100.0]))
def test_a_percentile_is_that_of_the_sorted_list(values: list[int], percent: float) -> None:
    latencies = Latencies()
    for us in values:
        latencies.add(us)
    rank = max(1, -int(-len(values) * percent // 100))
    assert latencies.percentile_us(percent) == highest_of(bucket_of(sorted(values)[rank - 1]))


@given(st.lists(microseconds), st.lists(microseconds))
def test_merged_histograms_are_one_of_all_values(one: list[int], other: list[int]) -> None:
    parts, whole = (Latencies(), Latencies()), Latencies()
    for part, values in zip(parts, (one, other), strict=True):
        for us in values:
            part.add(us)
            whole.add(us)
    parts[0].merge(parts[1].pairs())
    assert parts[0].pairs() == whole.pairs()
    assert whole.count == len(one) + len(other)


def test_what_is_negative_or_beyond_the_end_is_counted_at_the_ends() -> None:
    latencies = Latencies()
    latencies.add(-5)
    latencies.add(LATENCY_US_MAX * 9)
    assert latencies.percentile_us(50) == 0
    assert latencies.percentile_us(100) == LATENCY_US_MAX


def test_nothing_counted_has_no_percentiles() -> None:
    assert set(Latencies().summary_ms().values()) == {None}
