"""Values may be bodies of messages: what is logged or shown in a traceback must not hold them."""

from __future__ import annotations

import pytest

from store.changes import Change
from store.errors import StoreBusy
from store.record import Record, Version
from store.results import Result
from store.subscribe import Changed

RECORD = Record("a body", Version(1, 2, 3), 2)


@pytest.mark.parametrize(
    "shown",
    [
        RECORD,
        Change("message", (1, 2), 2, RECORD),
        Changed((1, 2), "a body", 2),
        Result(value="a body"),
        Result(value=[RECORD]),
        Result(ValueError("a body")),
    ],
    ids=lambda shown: type(shown).__name__,
)
def test_no_repr_shows_a_value(shown: object) -> None:
    assert "a body" not in repr(shown)
    assert type(shown).__name__ in repr(shown)


def test_a_result_shows_what_went_wrong() -> None:
    assert "StoreBusy('the queue is full" in repr(Result(StoreBusy("the queue is full")))
    assert "error=ValueError" in repr(Result(ValueError("a body")))
    assert "error=None, sequence=7" in repr(Result(sequence=7))
