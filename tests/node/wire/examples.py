"""One example of every frame of either side, by the name of its rule, and its bytes written out by hand."""

from typing import Any

STREAM = bytes.fromhex("0102030405060708")
ALICE = 15551230001
BOB = 15551230002

CLIENT: dict[str, tuple[tuple[Any, ...], str]] = {
    "client-hello": ((1, 1, 1, ("late",), "chat/0.1"), "85 01 01 01 81 64 6c617465 68 636861742f302e31"),
    "pin-request": ((2, ALICE), "82 02 1b 000000039eecf031"),
    "register-request": (
        (3, ALICE, "123456", bytes(32), STREAM),
        "85 03 1b 000000039eecf031 66 313233343536 58 20 " + "00" * 32 + " 48 0102030405060708",
    ),
    "login-request": (
        (4, ALICE, b"\xff" * 64),
        "83 04 1b 000000039eecf031 58 40 " + "ff" * 64,
    ),
    "send": (
        (10, BOB, STREAM, 7, 6, b"hi"),
        "86 0a 1b 000000039eecf032 48 0102030405060708 07 06 42 6869",
    ),
    "skip": ((11, BOB, STREAM, 24, 24), "85 0b 1b 000000039eecf032 48 0102030405060708 18 18 18 18"),
    "ack": ((15, ALICE, STREAM, 255, 256), "85 0f 1b 000000039eecf031 48 0102030405060708 18 ff 19 0100"),
    "read": ((16, ALICE, STREAM, 65535), "84 10 1b 000000039eecf031 48 0102030405060708 19 ffff"),
    "confirm": (
        (18, BOB, STREAM, 1, 1, 65536),
        "86 12 1b 000000039eecf032 48 0102030405060708 01 01 1a 00010000",
    ),
    "ping": ((20, False, 4294967295), "83 14 f4 1a ffffffff"),
    "bye": ((23, 0, 0), "83 17 00 00"),
}

SERVER: dict[str, tuple[tuple[Any, ...], str]] = {
    "server-hello": (
        (1, 1, (), bytes(32), 65536, 64, "waystation"),
        "87 01 01 80 58 20 " + "00" * 32 + " 1a 00010000 18 40 6a 77617973746174696f6e",
    ),
    "pin-sent": ((2, ALICE, 60000, 600000), "84 02 1b 000000039eecf031 19 ea60 1a 000927c0"),
    "registered": ((3, ALICE, 1), "83 03 1b 000000039eecf031 01"),
    "welcome": ((4, 0, 1, 3), "84 04 00 01 03"),
    "accepted": ((12, BOB, STREAM, 1, 7, 1), "86 0c 1b 000000039eecf032 48 0102030405060708 01 07 01"),
    "gap": ((13, BOB, STREAM, 0), "84 0d 1b 000000039eecf032 48 0102030405060708 00"),
    "deliver": (
        (14, ALICE, STREAM, 7, 1, 1798761600000, b""),
        "87 0e 1b 000000039eecf031 48 0102030405060708 07 01 1b 000001a2ce8bd400 40",
    ),
    "receipt": ((17, BOB, STREAM, 2, 1, 7), "86 11 1b 000000039eecf032 48 0102030405060708 02 01 07"),
    "confirm": ((18, 1, STREAM, 3, 7, 7), "86 12 01 48 0102030405060708 03 07 07"),
    "ping": ((20, True, 0), "83 14 f5 00"),
    "busy": ((21, BOB, STREAM, 8, 250), "85 15 1b 000000039eecf032 48 0102030405060708 08 18 fa"),
    "moved": ((22, "b.example", 7443), "83 16 69 622e6578616d706c65 19 1d13"),
    "bye": ((23, 31, 1500), "83 17 18 1f 19 05dc"),
    "error": (
        (24, 21, "full", 1000, (BOB, STREAM, 7)),
        "85 18 18 15 64 66756c6c 19 03e8 83 1b 000000039eecf032 48 0102030405060708 07",
    ),
}
"""`error` without `about` is among the vectors of the tests."""
