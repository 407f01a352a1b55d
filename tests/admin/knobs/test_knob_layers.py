"""What holds: the configuration, what was kept, what was set for a time. It is always valid, and always ends well."""

from contextlib import suppress

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.knobs.layers import Layers, Turned
from node.hub.settings import HubSettings

NAMES = ("outbox_low_bytes", "outbox_high_bytes", "outbox_bytes_max", "turn_ms_max")


def good(value: float) -> Turned:
    return Turned(value, "anna", 0.0)


def timed(value: float, until: float) -> Turned:
    return Turned(value, "anna", 0.0, until)


def test_a_time_goes_before_what_was_kept_and_that_before_the_configuration() -> None:
    layers = Layers(HubSettings(turn_ms_max=5.0))
    layers = layers.with_turned("turn_ms_max", good(6.0))
    layers = layers.with_turned("turn_ms_max", timed(7.0, 10.0))
    assert layers.settings().turn_ms_max == 7.0
    assert layers.next_end() == 10.0
    assert layers.at(9.9) is layers
    assert layers.at(10.0).settings().turn_ms_max == 6.0
    assert layers.without("turn_ms_max").settings() == HubSettings(turn_ms_max=5.0)


def test_for_good_ends_a_time() -> None:
    layers = Layers(HubSettings()).with_turned("turn_ms_max", timed(7.0, 10.0))
    layers = layers.with_turned("turn_ms_max", good(6.0))
    assert layers.settings().turn_ms_max == 6.0
    assert layers.next_end() is None


def test_bounds_and_relations_are_those_of_the_configuration() -> None:
    layers = Layers(HubSettings(outbox_low_bytes=1, outbox_high_bytes=10, outbox_bytes_max=100))
    with pytest.raises(ValueError, match=r"limits\.turn_ms_max is 0"):
        layers.with_turned("turn_ms_max", good(0))
    with pytest.raises(ValueError, match="outbox_low_bytes <= outbox_high_bytes"):
        layers.with_turned("outbox_low_bytes", good(11))


def test_what_is_kept_must_hold_without_what_is_there_for_a_time() -> None:
    layers = Layers(HubSettings(outbox_low_bytes=1, outbox_high_bytes=10, outbox_bytes_max=100))
    layers = layers.with_turned("outbox_high_bytes", timed(50, 10.0))
    with pytest.raises(ValueError, match="outbox_low_bytes"):
        layers.with_turned("outbox_low_bytes", good(20))
    assert layers.with_turned("outbox_low_bytes", timed(20, 5.0)).settings().outbox_low_bytes == 20


def test_a_time_whose_end_leaves_a_contradiction_takes_the_others_with_it() -> None:
    layers = Layers(HubSettings(outbox_low_bytes=1, outbox_high_bytes=10, outbox_bytes_max=100))
    layers = layers.with_turned("outbox_high_bytes", timed(50, 5.0)).with_turned(
        "outbox_low_bytes", timed(20, 10.0)
    )
    assert layers.at(5.0).settings() == layers.base


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(NAMES), st.integers(0, 100), st.none() | st.integers(1, 20), st.integers(0, 20)
        ),
        max_size=12,
    )
)
def test_whatever_is_turned_and_ends_what_holds_is_valid(
    turns: list[tuple[str, int, int | None, int]],
) -> None:
    layers = Layers(HubSettings(outbox_low_bytes=10, outbox_high_bytes=20, outbox_bytes_max=50))
    for name, value, until, now in turns:
        with suppress(ValueError):
            ends = None if until is None else float(until)
            layers = layers.with_turned(name, Turned(value, "x", 0.0, ends))
        layers = layers.at(float(now))
        attrs.evolve(layers.settings())
        attrs.evolve(layers.kept_settings())
