"""Mutated frames bring only declared errors out of the decoders, and nothing that the oracle doesn't find."""

from itertools import islice
from typing import Any

import pytest

from node.wire.codec import decode_with
from node.wire.errors import WireError
from node.wire.generated import CLIENT_READERS
from node.wire.limits import HEADER_SIZE
from node.wire.primitives import Frame, Read
from tests.fuzz import decoder
from tests.fuzz.decoder import Surprise, fuzz
from tests.fuzz.mutate import ITEM_MAX, mutated

FRAMES = 60_000
SECONDS_MAX = 60
RSS_GROWTH_MAX = 8 * 2**20


def test_mutated_frames_bring_only_declared_errors_and_memory_stays_flat() -> None:
    tally = fuzz(FRAMES, SECONDS_MAX, seed=20260101)
    assert tally.frames == FRAMES
    assert tally.rss_growth_bytes < RSS_GROWTH_MAX
    # Each kind of outcome came up often: the mutations neither break everything nor nothing.
    assert set(tally.outcomes) == {"malformed", "too_large", "whole", "incomplete"}
    assert min(tally.outcomes.values()) > FRAMES / 50


def test_the_same_seed_yields_the_same_bytes() -> None:
    once, again, other = (list(islice(mutated("client", seed), 500)) for seed in (7, 7, 8))
    assert once == again != other
    assert max(map(len, once)) <= ITEM_MAX


def _without_the_end(reader: Read) -> Read:
    """A reader that overlooks bytes after its frame, as cbor2.loads does."""

    def read(data: bytes, start: int, end: int) -> Frame:
        for shorter in range(end, start, -1):
            try:
                return reader(data, start, shorter)
            except WireError as error:
                if "too early or too late" not in error.text:
                    raise
        raise AssertionError("no end fits")

    return read


def _crashing(reader: Read) -> Read:
    """A reader that trips over long frames."""

    def read(data: bytes, start: int, end: int) -> Frame:
        if end - start > 100 + HEADER_SIZE:
            raise MemoryError
        return reader(data, start, end)

    return read


@pytest.mark.parametrize("broken", [_without_the_end, _crashing])
def test_a_broken_decoder_is_found(broken: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    readers = tuple(map(broken, CLIENT_READERS))

    def decode(data: bytes, limit: int, out: list[Frame]) -> int:
        return decode_with(readers, data, limit, out)

    monkeypatch.setitem(decoder.DECODERS, "client", decode)
    with pytest.raises(Surprise, match="seed 3, frame "):
        fuzz(5_000, SECONDS_MAX, seed=3)
