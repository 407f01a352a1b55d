"""What the decoder must do, said the slow way: cbor2 reads a frame, the checker of values judges it, and its one
encoding must be the bytes that came. Shares no code with the generated readers."""

from collections.abc import Callable, Sequence
from typing import Any

import cbor2

from node.wire.codec import check_client, check_server
from node.wire.errors import MALFORMED, TOO_LARGE, WireError
from node.wire.limits import DEPTH_MAX

Check = Callable[[Sequence[Any]], None]
CHECKS: dict[str, Check] = {"client": check_client, "server": check_server}


def frame_of(payload: bytes, check: Check) -> tuple[Any, ...] | None:
    """The frame that these bytes are, or None if they aren't one."""
    try:
        value = cbor2.loads(payload, max_depth=DEPTH_MAX, allow_indefinite=False, allow_duplicate_keys=False)
        check(value)
        encoded = cbor2.dumps(value)
    except Exception:  # noqa: BLE001  whatever cbor2 makes of hostile bytes, they are not a frame
        return None
    return _tuples(value) if encoded == payload else None


def decode(data: bytes, limit: int, check: Check) -> tuple[list[tuple[Any, ...]], int, int | None]:
    """The frames at the start of `data`, the bytes that they take, and the error code that ended it, if one did."""
    frames: list[tuple[Any, ...]] = []
    at = 0
    while len(data) - at >= 4:
        size = int.from_bytes(data[at : at + 4], "big")
        if size > limit:
            return frames, at, TOO_LARGE
        if len(data) - at - 4 < size:
            break
        frame = frame_of(data[at + 4 : at + 4 + size], check)
        if frame is None:
            return frames, at, MALFORMED
        frames.append(frame)
        at += 4 + size
    return frames, at, None


def decoded_by(
    decode_side: Callable[[bytes, int, list[Any]], int], data: bytes, limit: int
) -> tuple[list[tuple[Any, ...]], int | None, int | None]:
    """The same answer from a decoder under test. What was consumed before an error isn't told: None."""
    frames: list[tuple[Any, ...]] = []
    try:
        return frames, decode_side(data, limit, frames), None
    except WireError as error:
        return frames, None, error.code


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
