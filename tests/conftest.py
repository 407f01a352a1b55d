"""For all tests."""

from hypothesis import settings

# No test asserts a duration: Hypothesis would fail an example that takes more than 200 ms, as any may beside others.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
