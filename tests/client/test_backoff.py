"""Waiting longer each time, never in step with others, never less than asked."""

from random import Random

from client.backoff import Backoff
from client.settings import Settings


def test_it_doubles_with_jitter_up_to_its_limit() -> None:
    settings = Settings(backoff_min=1.0, backoff_max=20.0)
    for seed in range(50):
        backoff = Backoff(settings, Random(seed))
        for ceiling in (1.0, 2.0, 4.0, 8.0, 16.0, 20.0, 20.0):
            assert ceiling / 2 <= backoff.next() <= ceiling
        backoff.reset()
        assert backoff.next() <= 1.0
    assert len({Backoff(settings, Random(seed)).next() for seed in range(50)}) == 50


def test_it_waits_at_least_as_long_as_asked() -> None:
    backoff = Backoff(Settings(), Random(1))
    for _ in range(100):
        assert 30.0 <= backoff.next(30.0) <= 60.0
