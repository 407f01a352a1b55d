"""The one error of this package that isn't a failure."""


class UnavailableError(Exception):
    """This machine can't make that fault. The text says what is missing; tests skip with it."""
