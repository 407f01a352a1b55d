"""`bench wire`: what one frame costs in the codec, in µs of CPU, and what cbor2 costs for the same frame.

The peer column decodes with cbor2 (limits on, tags not) and runs the checker of values; it lets bytes after the
array pass, which the protocol doesn't. Figures are the least of several runs, for other work on the machine only
ever adds to them. Nothing above the wire takes part.
"""

import sys
import time
from collections.abc import Callable
from typing import Annotated, Any, Final

import cbor2
from attrs import frozen
from cyclopts import App, Parameter
from cyclopts.validators import Number

from node.wire import hot
from node.wire.codec import Decode, check_client, check_server, decode_client, decode_server, encode
from node.wire.limits import DEPTH_MAX, FRAME_MAX, HEADER_SIZE
from node.wire.primitives import Check, Frame
from node.wire.verbs import ACCEPTED, ACK, CONFIRM, DELIVER, ONE_COPY, PING, RECEIPT, SEND
from ops.bench.screen import print_result

app = App(name="wire", help="Measure the codec alone: frames decoded and encoded.")

BATCH: Final = 8
"""Frames in one buffer, as the hub finds them when phones are busy."""

_RUNS: Final = 9
_ALICE: Final = 15551230001
_STREAM: Final = bytes(range(8))
_ARRIVED: Final = 1_798_761_600_000


@frozen
class Subject:
    """A frame, and the functions of the side that reads it."""

    name: str
    frame: Frame
    decode: Decode
    check: Check
    write: Callable[..., bytes] | None = None


def subjects(body: int) -> tuple[Subject, ...]:
    """What is sent and received for a message, and a ping."""
    client = (decode_client, check_client)
    server = (decode_server, check_server)
    return (
        Subject("send", (SEND, _ALICE, _STREAM, 300, 299, bytes(body)), *client),
        Subject("ack", (ACK, _ALICE, _STREAM, 300, 300), *client),
        Subject("ping", (PING, False, 7), *client),
        Subject(
            "deliver", (DELIVER, _ALICE, _STREAM, 300, 0, _ARRIVED, bytes(body)), *server, hot.encode_deliver
        ),
        Subject("accepted", (ACCEPTED, _ALICE, _STREAM, 300, 300, ONE_COPY), *server, hot.encode_accepted),
        Subject("receipt", (RECEIPT, _ALICE, _STREAM, 1, 300, 300), *server, hot.encode_receipt),
        Subject("confirm", (CONFIRM, _ALICE, _STREAM, 1, 300, 300), *server, hot.encode_confirm),
    )


def measure(subject: Subject, calls: int) -> dict[str, Any]:
    """One row: bytes of the frame, and µs for each way of reading and writing it."""
    frame = subject.frame
    encoded = encode(frame)
    batch = encoded * BATCH
    decode, check, write = subject.decode, subject.check, subject.write
    arguments = frame[1:]

    def by_cbor2() -> None:
        check(cbor2.loads(encoded[HEADER_SIZE:], max_depth=DEPTH_MAX, allow_indefinite=False))

    return {
        "frame": subject.name,
        "bytes": len(encoded),
        "decode_us": _least_us(lambda: decode(encoded, FRAME_MAX, []), calls),
        "decode_batched_us": _least_us(lambda: decode(batch, FRAME_MAX, []), calls // BATCH) / BATCH,
        "cbor2_and_check_us": _least_us(by_cbor2, calls),
        "check_us": _least_us(lambda: check(frame), calls),
        "encode_us": _least_us(lambda: encode(frame), calls),
        "encode_hot_us": _least_us(lambda: write(*arguments), calls) if write is not None else None,
    }


def _least_us(call: Callable[[], object], calls: int) -> float:
    least = float("inf")
    for _ in range(_RUNS):
        start = time.process_time()
        for _ in range(calls):
            call()
        least = min(least, time.process_time() - start)
    return least / calls * 1e6


@app.default
def command(
    *,
    body: Annotated[
        int, Parameter(validator=Number(gte=0, lte=61_440), help="Bytes of a message's body.")
    ] = 80,
    calls: Annotated[int, Parameter(validator=Number(gte=1), help="Calls that one run is made of.")] = 20_000,
    as_json: Annotated[bool, Parameter("--json", negative="", help="One JSON object on stdout.")] = False,
) -> None:
    """Decode and encode the frames of a message, one at a time and in batches."""
    rows = [measure(subject, calls) for subject in subjects(body)]
    result = {f"{row['frame']}_{key}": value for row in rows for key, value in row.items() if key != "frame"}
    print_result({"body": body, "calls": calls, **result}, as_json=as_json)


if __name__ == "__main__":
    sys.exit(app())
