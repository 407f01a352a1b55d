"""Feeds mutated frames to the decoders: `python -m tests.fuzz.decoder --frames 1000000 --seconds 120 --json`.

Only declared errors may come out, the frames must be those that the slow oracle finds, pieces must make no
difference, and memory must stay flat. It stops at the first surprise, with the seed and the bytes.
"""

import argparse
import gc
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import attrs

from node.wire.codec import Decode, Decoder, decode_client, decode_server
from node.wire.errors import MALFORMED, REGISTRY, TOO_LARGE, WireError
from node.wire.limits import FRAME_MAX, FRAME_MAX_BEFORE_LOGIN, HEADER_SIZE
from tests.fuzz.mutate import mutated
from tests.node.wire import oracle

DECODERS: dict[str, Decode] = {"client": decode_client, "server": decode_server}
DECLARED = {None, MALFORMED, TOO_LARGE}

_IN_PIECES_EVERY = 8
_WARM_UP_FRAMES = 20_000
_CLOCK_EVERY = 1_000


class Surprise(AssertionError):
    """The decoder did something that it may not; the text says how to see it again."""


@attrs.define
class Tally:
    seed: int
    frames: int = 0
    whole: int = 0
    """Good frames that came out of them."""
    outcomes: Counter[str] = attrs.field(factory=Counter)
    seconds: float = 0.0
    rss_growth_bytes: int = 0
    """Resident memory at the end, less that after the warm-up."""

    def report(self) -> dict[str, Any]:
        return attrs.asdict(self) | {"frames_per_second": round(self.frames / max(self.seconds, 1e-9))}


def fuzz(frames: int, seconds: float, seed: int) -> Tally:
    """Feed up to `frames` mutated frames within about `seconds`, half of them to the decoder of each side.

    Raises:
        Surprise: on the first thing that is not as it must be.
    """
    tally = Tally(seed)
    sources = {side: mutated(side, seed) for side in DECODERS}
    pieces = Random(seed)
    rss_before = 0
    start = time.monotonic()
    while tally.frames < frames:
        for side, source in sources.items():
            item = next(source)
            try:
                _feed(side, item, pieces if tally.frames % _IN_PIECES_EVERY < len(sources) else None, tally)
            except Exception as error:
                raise Surprise(
                    f"seed {seed}, frame {tally.frames}, {side}: {item[:400].hex()}: {error!r}"
                ) from error
            tally.frames += 1
        if tally.frames <= _WARM_UP_FRAMES:
            rss_before = _rss_bytes()
        if tally.frames % _CLOCK_EVERY < len(sources) and time.monotonic() - start > seconds:
            break
    tally.seconds = round(time.monotonic() - start, 3)
    gc.collect()
    tally.rss_growth_bytes = _rss_bytes() - rss_before
    return tally


def _feed(side: str, item: bytes, pieces: Random | None, tally: Tally) -> None:
    decode = DECODERS[side]
    limit = FRAME_MAX_BEFORE_LOGIN if tally.frames % 3 == 0 else FRAME_MAX
    got, consumed, code = oracle.decoded_by(decode, item, limit)
    assert code in DECLARED, f"undeclared error {code}"
    expected, expected_consumed, expected_code = oracle.decode(item, limit, oracle.CHECKS[side])
    assert (got, code) == (expected, expected_code), (
        f"{(got, code)} where {(expected, expected_code)} was due"
    )
    assert consumed in (None, expected_consumed), f"consumed {consumed}, due {expected_consumed}"
    if pieces is not None:
        assert _in_pieces(Decoder(decode, limit), item, pieces) == (got, code), "pieces make a difference"
    tally.whole += len(got)
    tally.outcomes[
        REGISTRY[code].name if code is not None else "whole" if consumed == len(item) else "incomplete"
    ] += 1


def _in_pieces(decoder: Decoder, item: bytes, pieces: Random) -> tuple[list[Any], int | None]:
    frames: list[Any] = []
    at = 0
    try:
        while at < len(item):
            size = pieces.choice((1, 3, 17, 4096))
            frames += decoder.feed(item[at : at + size])
            assert decoder.kept <= HEADER_SIZE + decoder.limit
            at += size
        frames += decoder.feed(b"")
    except WireError as error:
        return frames, error.code
    return frames, None


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def main() -> int:
    parser = argparse.ArgumentParser("python -m tests.fuzz.decoder", description="Fuzz the wire decoders.")
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print the tally as JSON")
    options = parser.parse_args()
    report = fuzz(options.frames, options.seconds, options.seed).report()
    if options.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:18} {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
