"""Verbs and small enumerations of the wire protocol, as plain integers.

They are not enum members: a verb is compared and used as a dictionary key several times for every message,
and a plain integer is what the decoder yields. This module must never know what a verb means to a node.
"""

from typing import Final

HELLO: Final = 1
PIN: Final = 2
REGISTER: Final = 3
LOGIN: Final = 4

SEND: Final = 10
SKIP: Final = 11
ACCEPTED: Final = 12
GAP: Final = 13
DELIVER: Final = 14
ACK: Final = 15
READ: Final = 16
RECEIPT: Final = 17
CONFIRM: Final = 18

PING: Final = 20
BUSY: Final = 21
MOVED: Final = 22
BYE: Final = 23
ERROR: Final = 24

# `how` of accepted: what the check mark stands for.
DELIVERED: Final = 0
ONE_COPY: Final = 1
TWO_COPIES: Final = 2

# `kind` of receipt and confirm.
KIND_DELIVERED: Final = 1
KIND_READ: Final = 2
KIND_EXPIRED: Final = 3

# `flags` of deliver.
FLAG_LATE: Final = 1
