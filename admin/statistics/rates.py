"""Decaying rates: what a counter adds a second, with the past forgotten over 1, 10 and 100 seconds.

A rate moves towards what the last interval brought by 1 - exp(-interval / time constant), so it doesn't matter how long
intervals are (the load averages of Unix are kept this way). A young rate is divided by the weight that it could have
gathered so far, so it is a mean of what was seen, and not pulled towards a zero that was never seen (the correction of
Kingma and Ba, "Adam", 2015).
"""

from collections.abc import Sequence
from math import exp
from typing import Final

SPANS_S: Final = (1.0, 10.0, 100.0)


def steps(interval_s: float) -> tuple[float, float, float]:
    """How far each of the three rates moves in an interval."""
    one, ten, hundred = (1.0 - exp(-interval_s / span) for span in SPANS_S)
    return one, ten, hundred


def move(rates: list[float], per_s: float, by: tuple[float, float, float]) -> None:
    """Move three rates towards what the last interval brought."""
    rates[0] += by[0] * (per_s - rates[0])
    rates[1] += by[1] * (per_s - rates[1])
    rates[2] += by[2] * (per_s - rates[2])


def shown(rates: Sequence[float], age_s: float) -> tuple[float, ...]:
    """The rates of a counter that has been watched for so long; zeros before the first interval is over."""
    if age_s <= 0.0:
        return (0.0,) * len(SPANS_S)
    return tuple(rate / (1.0 - exp(-age_s / span)) for rate, span in zip(rates, SPANS_S, strict=True))
