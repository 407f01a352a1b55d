"""Histograms by powers of two."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.histogram import Histogram, together


@given(st.lists(st.integers(0, 10**9), min_size=1), st.floats(0, 1))
def test_a_quantile_is_a_close_upper_bound(numbers, share):
    histogram = Histogram()
    for number in numbers:
        histogram.record(number)
    bound = histogram.picture().quantile(share)
    below = [number for number in numbers if number <= bound]
    assert len(below) >= share * len(numbers)
    exact = sorted(numbers)[max(0, min(len(numbers) - 1, int(share * len(numbers) + 0.999999) - 1))]
    assert exact <= bound <= max(2 * exact, 1)
    assert sum(histogram.picture().buckets) == len(numbers)
    assert histogram.picture().most == max(numbers)


def test_nothing_recorded():
    assert Histogram().picture().quantile(0.99) == 0


def test_beyond_the_last_bucket():
    histogram = Histogram()
    histogram.record(2**60)
    assert histogram.picture().buckets[-1] == 1


def test_the_sum_is_kept_and_what_is_below_zero_counts_as_zero():
    histogram = Histogram()
    for number in (3, 5, -4):
        histogram.record(number)
    picture = histogram.picture()
    assert (picture.total, picture.buckets[0], sum(picture.buckets)) == (8, 1, 3)


def test_several_are_handed_out_as_one():
    small, large = Histogram(), Histogram()
    small.record(1)
    large.record(2**40)
    large.record(1)
    picture = together(small, large)
    assert (picture.buckets[1], picture.buckets[-1], sum(picture.buckets)) == (2, 1, 3)
    assert (picture.most, picture.total) == (2**40, 2**40 + 2)
