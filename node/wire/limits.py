"""Sizes and ranges that both sides of the wire rely on. Bytes, unless the name says otherwise.

The schema states the same numbers where a frame carries them; a test compares the two. This module must
never know what a node or a client can afford: those limits are settings and belong to their owners.
"""

from typing import Final

HEADER_SIZE: Final = 4
"""Every frame starts with its length, big-endian, without these bytes."""

FRAME_MAX: Final = 65_536
FRAME_MAX_BEFORE_LOGIN: Final = 4_096
FRAME_MAX_LEAST: Final = 4_096
"""The lowest `frame-max` that a server may announce."""

DEPTH_MAX: Final = 8
"""Arrays inside arrays. The schema needs less; the compiler refuses a schema that needs more."""

BODY_MAX: Final = 61_440
USER_MAX: Final = 999_999_999_999_999
"""The largest E.164 number: fifteen digits."""
NUMBER_MAX: Final = 9_007_199_254_740_991
"""2**53 - 1: a client in a language whose numbers are doubles can still count."""
CODE_MAX: Final = 65_535
TOKEN_MAX: Final = 4_294_967_295
RETRY_MS_MAX: Final = 86_400_000
WINDOW_MAX: Final = 1_024
ACK_RANGE_MAX: Final = 1_024
"""The most numbers that one ack names; the schema has no word for it but a comment."""

STREAM_SIZE: Final = 8
NONCE_SIZE: Final = 32
KEY_SIZE: Final = 32
SIGNATURE_SIZE: Final = 64
CERTIFICATE_HASH_SIZE: Final = 32

PIN_SIZE_MIN: Final = 4
PIN_SIZE_MAX: Final = 12
AGENT_MAX: Final = 64
TEXT_MAX: Final = 200
HOST_MAX: Final = 255
FEATURES_MAX: Final = 32
FEATURE_SIZE_MAX: Final = 32
VERSION_MAX: Final = 255

_MAIL_OVERHEAD_MAX: Final = 64
"""No frame that carries a body needs more than this around it."""

assert BODY_MAX + _MAIL_OVERHEAD_MAX <= FRAME_MAX
assert FRAME_MAX_BEFORE_LOGIN <= FRAME_MAX_LEAST <= FRAME_MAX
assert NUMBER_MAX == 2**53 - 1
