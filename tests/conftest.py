"""For all tests."""

from hypothesis import HealthCheck, settings

# No test asserts a duration: Hypothesis would fail an example that takes more than 200 ms, or a test whose first ones
# take a second each to draw, as any may beside others.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
