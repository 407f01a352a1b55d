"""Checkers and readers of every frame, made by python -m node.wire.compiler: edit the schema.

check_…(frame) refuses a wrong frame given as a list or tuple; read_…(data, start, end) decodes and checks the
bytes of one frame. Both raise WireError(MALFORMED, …). The tables lead from a verb to its functions.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from node.wire.primitives import Check, Frame, bad, by_first_byte, is_array, u32, u64, unknown, utf8_size


def check_client_hello(frame: Sequence[Any]) -> None:
    if len(frame) != 5:
        raise bad("client-hello: the frame must be an array of 5")
    lowest = frame[1]
    if type(lowest) is not int or not 1 <= lowest <= 255:
        raise bad("client-hello: lowest must be a whole number of 1..255")
    highest = frame[2]
    if type(highest) is not int or not 1 <= highest <= 255:
        raise bad("client-hello: highest must be a whole number of 1..255")
    features = frame[3]
    if not is_array(features) or len(features) > 32:
        raise bad("client-hello: features must be an array of at most 32")
    for features_one in features:
        if type(features_one) is not str or not 1 <= utf8_size(features_one) <= 32:
            raise bad("client-hello: features[] must be text of 1..32 bytes")
    agent = frame[4]
    if type(agent) is not str or not 0 <= utf8_size(agent) <= 64:
        raise bad("client-hello: agent must be text of 0..64 bytes")


def read_client_hello(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x85:
        raise bad("client-hello: the frame must be an array of 5")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        lowest = b
        i += 3
    elif b == 0x18:
        lowest = d[i + 3]
        if lowest < 24:
            raise bad("client-hello: lowest must be a whole number of 1..255, in its shortest form")
        i += 4
    else:
        raise bad("client-hello: lowest must be a whole number of 1..255, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        highest = b
        i += 1
    elif b == 0x18:
        highest = d[i + 1]
        if highest < 24:
            raise bad("client-hello: highest must be a whole number of 1..255, in its shortest form")
        i += 2
    else:
        raise bad("client-hello: highest must be a whole number of 1..255, in its shortest form")
    b = d[i]
    if b == 0x98:
        size = d[i + 1]
        if not 24 <= size <= 32:
            raise bad("client-hello: features must be an array of at most 32, in its shortest form")
        i += 2
    elif 0x80 <= b <= 0x97:
        size = b - 0x80
        i += 1
    else:
        raise bad("client-hello: features must be an array of at most 32, in its shortest form")
    features_all: list[Any] = []
    for _ in range(size):
        b = d[i]
        if b == 0x78:
            size = d[i + 1]
            if not 24 <= size <= 32:
                raise bad("client-hello: features[] must be text of 1..32 bytes, in its shortest form")
            i += 2
        elif 0x61 <= b <= 0x77:
            size = b - 0x60
            i += 1
        else:
            raise bad("client-hello: features[] must be text of 1..32 bytes, in its shortest form")
        j = i + size
        features_one = str(d[i:j], "utf-8")
        i = j
        features_all.append(features_one)
    features = tuple(features_all)
    b = d[i]
    if b == 0x78:
        size = d[i + 1]
        if not 24 <= size <= 64:
            raise bad("client-hello: agent must be text of 0..64 bytes, in its shortest form")
        i += 2
    elif 0x60 <= b <= 0x77:
        size = b - 0x60
        i += 1
    else:
        raise bad("client-hello: agent must be text of 0..64 bytes, in its shortest form")
    j = i + size
    agent = str(d[i:j], "utf-8")
    i = j
    if i != end:
        raise bad("client-hello: the frame ends too early or too late")
    return (1, lowest, highest, features, agent)


def check_pin_request(frame: Sequence[Any]) -> None:
    if len(frame) != 2:
        raise bad("pin-request: the frame must be an array of 2")
    user = frame[1]
    if type(user) is not int or not 1 <= user <= 999999999999999:
        raise bad("pin-request: user must be a whole number of 1..999999999999999")


def read_pin_request(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x82:
        raise bad("pin-request: the frame must be an array of 2")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        user = b
        i += 3
    elif b == 0x1b:
        (user,) = u64(d, i + 3)
        if not 4294967296 <= user <= 999999999999999:
            raise bad("pin-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        user = d[i + 3] << 8 | d[i + 4]
        if user < 256:
            raise bad("pin-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        user = d[i + 3]
        if user < 24:
            raise bad("pin-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (user,) = u32(d, i + 3)
        if user < 65536:
            raise bad("pin-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("pin-request: user must be a whole number of 1..999999999999999, in its shortest form")
    if i != end:
        raise bad("pin-request: the frame ends too early or too late")
    return (2, user)


def check_register_request(frame: Sequence[Any]) -> None:
    if len(frame) != 5:
        raise bad("register-request: the frame must be an array of 5")
    user = frame[1]
    if type(user) is not int or not 1 <= user <= 999999999999999:
        raise bad("register-request: user must be a whole number of 1..999999999999999")
    pin = frame[2]
    if type(pin) is not str or not 4 <= utf8_size(pin) <= 12:
        raise bad("register-request: pin must be text of 4..12 bytes")
    key = frame[3]
    if type(key) is not bytes or len(key) != 32:
        raise bad("register-request: key must be 32 bytes")
    stream = frame[4]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("register-request: stream must be 8 bytes")


def read_register_request(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x85:
        raise bad("register-request: the frame must be an array of 5")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        user = b
        i += 3
    elif b == 0x1b:
        (user,) = u64(d, i + 3)
        if not 4294967296 <= user <= 999999999999999:
            raise bad("register-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        user = d[i + 3] << 8 | d[i + 4]
        if user < 256:
            raise bad("register-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        user = d[i + 3]
        if user < 24:
            raise bad("register-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (user,) = u32(d, i + 3)
        if user < 65536:
            raise bad("register-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("register-request: user must be a whole number of 1..999999999999999, in its shortest form")
    b = d[i]
    if 0x64 <= b <= 0x6c:
        size = b - 0x60
        i += 1
    else:
        raise bad("register-request: pin must be text of 4..12 bytes, in its shortest form")
    j = i + size
    pin = str(d[i:j], "utf-8")
    i = j
    if d[i] != 0x58 or d[i + 1] != 0x20:
        raise bad("register-request: key must be 32 bytes, in its shortest form")
    key = d[i + 2:i + 34]
    if d[i + 34] != 0x48:
        raise bad("register-request: stream must be 8 bytes, in its shortest form")
    stream = d[i + 35:i + 43]
    if i + 43 != end:
        raise bad("register-request: the frame ends too early or too late")
    return (3, user, pin, key, stream)


def check_login_request(frame: Sequence[Any]) -> None:
    if len(frame) != 3:
        raise bad("login-request: the frame must be an array of 3")
    user = frame[1]
    if type(user) is not int or not 1 <= user <= 999999999999999:
        raise bad("login-request: user must be a whole number of 1..999999999999999")
    signature = frame[2]
    if type(signature) is not bytes or len(signature) != 64:
        raise bad("login-request: signature must be 64 bytes")


def read_login_request(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x83:
        raise bad("login-request: the frame must be an array of 3")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        user = b
        i += 3
    elif b == 0x1b:
        (user,) = u64(d, i + 3)
        if not 4294967296 <= user <= 999999999999999:
            raise bad("login-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        user = d[i + 3] << 8 | d[i + 4]
        if user < 256:
            raise bad("login-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        user = d[i + 3]
        if user < 24:
            raise bad("login-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (user,) = u32(d, i + 3)
        if user < 65536:
            raise bad("login-request: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("login-request: user must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x58 or d[i + 1] != 0x40:
        raise bad("login-request: signature must be 64 bytes, in its shortest form")
    signature = d[i + 2:i + 66]
    if i + 66 != end:
        raise bad("login-request: the frame ends too early or too late")
    return (4, user, signature)


def check_send(frame: Sequence[Any]) -> None:
    if len(frame) != 6:
        raise bad("send: the frame must be an array of 6")
    recipient = frame[1]
    if type(recipient) is not int or not 1 <= recipient <= 999999999999999:
        raise bad("send: recipient must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("send: stream must be 8 bytes")
    n = frame[3]
    if type(n) is not int or not 1 <= n <= 9007199254740991:
        raise bad("send: n must be a whole number of 1..9007199254740991")
    base = frame[4]
    if type(base) is not int or not 1 <= base <= 9007199254740991:
        raise bad("send: base must be a whole number of 1..9007199254740991")
    body = frame[5]
    if type(body) is not bytes or not 0 <= len(body) <= 61440:
        raise bad("send: body must be 0..61440 bytes")


def read_send(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x86:
        raise bad("send: the frame must be an array of 6")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        recipient = b
        i += 3
    elif b == 0x1b:
        (recipient,) = u64(d, i + 3)
        if not 4294967296 <= recipient <= 999999999999999:
            raise bad("send: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        recipient = d[i + 3] << 8 | d[i + 4]
        if recipient < 256:
            raise bad("send: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        recipient = d[i + 3]
        if recipient < 24:
            raise bad("send: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (recipient,) = u32(d, i + 3)
        if recipient < 65536:
            raise bad("send: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("send: recipient must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("send: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x17:
        n = b
        i += 10
    elif b == 0x1b:
        (n,) = u64(d, i + 10)
        if not 4294967296 <= n <= 9007199254740991:
            raise bad("send: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        n = d[i + 10] << 8 | d[i + 11]
        if n < 256:
            raise bad("send: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        n = d[i + 10]
        if n < 24:
            raise bad("send: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (n,) = u32(d, i + 10)
        if n < 65536:
            raise bad("send: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("send: n must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        base = b
        i += 1
    elif b == 0x1b:
        (base,) = u64(d, i + 1)
        if not 4294967296 <= base <= 9007199254740991:
            raise bad("send: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        base = d[i + 1] << 8 | d[i + 2]
        if base < 256:
            raise bad("send: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        base = d[i + 1]
        if base < 24:
            raise bad("send: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (base,) = u32(d, i + 1)
        if base < 65536:
            raise bad("send: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("send: base must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if b == 0x58:
        size = d[i + 1]
        if size < 24:
            raise bad("send: body must be 0..61440 bytes, in its shortest form")
        i += 2
    elif b == 0x59:
        size = d[i + 1] << 8 | d[i + 2]
        if not 256 <= size <= 61440:
            raise bad("send: body must be 0..61440 bytes, in its shortest form")
        i += 3
    elif 0x40 <= b <= 0x57:
        size = b - 0x40
        i += 1
    else:
        raise bad("send: body must be 0..61440 bytes, in its shortest form")
    j = i + size
    body = d[i:j]
    i = j
    if i != end:
        raise bad("send: the frame ends too early or too late")
    return (10, recipient, stream, n, base, body)


def check_skip(frame: Sequence[Any]) -> None:
    if len(frame) != 5:
        raise bad("skip: the frame must be an array of 5")
    recipient = frame[1]
    if type(recipient) is not int or not 1 <= recipient <= 999999999999999:
        raise bad("skip: recipient must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("skip: stream must be 8 bytes")
    n = frame[3]
    if type(n) is not int or not 1 <= n <= 9007199254740991:
        raise bad("skip: n must be a whole number of 1..9007199254740991")
    base = frame[4]
    if type(base) is not int or not 1 <= base <= 9007199254740991:
        raise bad("skip: base must be a whole number of 1..9007199254740991")


def read_skip(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x85:
        raise bad("skip: the frame must be an array of 5")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        recipient = b
        i += 3
    elif b == 0x1b:
        (recipient,) = u64(d, i + 3)
        if not 4294967296 <= recipient <= 999999999999999:
            raise bad("skip: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        recipient = d[i + 3] << 8 | d[i + 4]
        if recipient < 256:
            raise bad("skip: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        recipient = d[i + 3]
        if recipient < 24:
            raise bad("skip: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (recipient,) = u32(d, i + 3)
        if recipient < 65536:
            raise bad("skip: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("skip: recipient must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("skip: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x17:
        n = b
        i += 10
    elif b == 0x1b:
        (n,) = u64(d, i + 10)
        if not 4294967296 <= n <= 9007199254740991:
            raise bad("skip: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        n = d[i + 10] << 8 | d[i + 11]
        if n < 256:
            raise bad("skip: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        n = d[i + 10]
        if n < 24:
            raise bad("skip: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (n,) = u32(d, i + 10)
        if n < 65536:
            raise bad("skip: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("skip: n must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        base = b
        i += 1
    elif b == 0x1b:
        (base,) = u64(d, i + 1)
        if not 4294967296 <= base <= 9007199254740991:
            raise bad("skip: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        base = d[i + 1] << 8 | d[i + 2]
        if base < 256:
            raise bad("skip: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        base = d[i + 1]
        if base < 24:
            raise bad("skip: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (base,) = u32(d, i + 1)
        if base < 65536:
            raise bad("skip: base must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("skip: base must be a whole number of 1..9007199254740991, in its shortest form")
    if i != end:
        raise bad("skip: the frame ends too early or too late")
    return (11, recipient, stream, n, base)


def check_ack(frame: Sequence[Any]) -> None:
    if len(frame) != 5:
        raise bad("ack: the frame must be an array of 5")
    sender = frame[1]
    if type(sender) is not int or not 1 <= sender <= 999999999999999:
        raise bad("ack: sender must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("ack: stream must be 8 bytes")
    first = frame[3]
    if type(first) is not int or not 1 <= first <= 9007199254740991:
        raise bad("ack: first must be a whole number of 1..9007199254740991")
    last = frame[4]
    if type(last) is not int or not 1 <= last <= 9007199254740991:
        raise bad("ack: last must be a whole number of 1..9007199254740991")


def read_ack(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x85:
        raise bad("ack: the frame must be an array of 5")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        sender = b
        i += 3
    elif b == 0x1b:
        (sender,) = u64(d, i + 3)
        if not 4294967296 <= sender <= 999999999999999:
            raise bad("ack: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        sender = d[i + 3] << 8 | d[i + 4]
        if sender < 256:
            raise bad("ack: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        sender = d[i + 3]
        if sender < 24:
            raise bad("ack: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (sender,) = u32(d, i + 3)
        if sender < 65536:
            raise bad("ack: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("ack: sender must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("ack: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x17:
        first = b
        i += 10
    elif b == 0x1b:
        (first,) = u64(d, i + 10)
        if not 4294967296 <= first <= 9007199254740991:
            raise bad("ack: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        first = d[i + 10] << 8 | d[i + 11]
        if first < 256:
            raise bad("ack: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        first = d[i + 10]
        if first < 24:
            raise bad("ack: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (first,) = u32(d, i + 10)
        if first < 65536:
            raise bad("ack: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("ack: first must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        last = b
        i += 1
    elif b == 0x1b:
        (last,) = u64(d, i + 1)
        if not 4294967296 <= last <= 9007199254740991:
            raise bad("ack: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        last = d[i + 1] << 8 | d[i + 2]
        if last < 256:
            raise bad("ack: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        last = d[i + 1]
        if last < 24:
            raise bad("ack: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (last,) = u32(d, i + 1)
        if last < 65536:
            raise bad("ack: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("ack: last must be a whole number of 1..9007199254740991, in its shortest form")
    if i != end:
        raise bad("ack: the frame ends too early or too late")
    return (15, sender, stream, first, last)


def check_read(frame: Sequence[Any]) -> None:
    if len(frame) != 4:
        raise bad("read: the frame must be an array of 4")
    sender = frame[1]
    if type(sender) is not int or not 1 <= sender <= 999999999999999:
        raise bad("read: sender must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("read: stream must be 8 bytes")
    upto = frame[3]
    if type(upto) is not int or not 1 <= upto <= 9007199254740991:
        raise bad("read: upto must be a whole number of 1..9007199254740991")


def read_read(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x84:
        raise bad("read: the frame must be an array of 4")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        sender = b
        i += 3
    elif b == 0x1b:
        (sender,) = u64(d, i + 3)
        if not 4294967296 <= sender <= 999999999999999:
            raise bad("read: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        sender = d[i + 3] << 8 | d[i + 4]
        if sender < 256:
            raise bad("read: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        sender = d[i + 3]
        if sender < 24:
            raise bad("read: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (sender,) = u32(d, i + 3)
        if sender < 65536:
            raise bad("read: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("read: sender must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("read: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x17:
        upto = b
        i += 10
    elif b == 0x1b:
        (upto,) = u64(d, i + 10)
        if not 4294967296 <= upto <= 9007199254740991:
            raise bad("read: upto must be a whole number of 1..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        upto = d[i + 10] << 8 | d[i + 11]
        if upto < 256:
            raise bad("read: upto must be a whole number of 1..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        upto = d[i + 10]
        if upto < 24:
            raise bad("read: upto must be a whole number of 1..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (upto,) = u32(d, i + 10)
        if upto < 65536:
            raise bad("read: upto must be a whole number of 1..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("read: upto must be a whole number of 1..9007199254740991, in its shortest form")
    if i != end:
        raise bad("read: the frame ends too early or too late")
    return (16, sender, stream, upto)


def check_confirm(frame: Sequence[Any]) -> None:
    if len(frame) != 6:
        raise bad("confirm: the frame must be an array of 6")
    peer = frame[1]
    if type(peer) is not int or not 1 <= peer <= 999999999999999:
        raise bad("confirm: peer must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("confirm: stream must be 8 bytes")
    kind = frame[3]
    if type(kind) is not int or not 1 <= kind <= 3:
        raise bad("confirm: kind must be a whole number of 1..3")
    first = frame[4]
    if type(first) is not int or not 1 <= first <= 9007199254740991:
        raise bad("confirm: first must be a whole number of 1..9007199254740991")
    last = frame[5]
    if type(last) is not int or not 1 <= last <= 9007199254740991:
        raise bad("confirm: last must be a whole number of 1..9007199254740991")


def read_confirm(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x86:
        raise bad("confirm: the frame must be an array of 6")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        peer = b
        i += 3
    elif b == 0x1b:
        (peer,) = u64(d, i + 3)
        if not 4294967296 <= peer <= 999999999999999:
            raise bad("confirm: peer must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        peer = d[i + 3] << 8 | d[i + 4]
        if peer < 256:
            raise bad("confirm: peer must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        peer = d[i + 3]
        if peer < 24:
            raise bad("confirm: peer must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (peer,) = u32(d, i + 3)
        if peer < 65536:
            raise bad("confirm: peer must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("confirm: peer must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("confirm: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x03:
        kind = b
        i += 10
    else:
        raise bad("confirm: kind must be a whole number of 1..3, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        first = b
        i += 1
    elif b == 0x1b:
        (first,) = u64(d, i + 1)
        if not 4294967296 <= first <= 9007199254740991:
            raise bad("confirm: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        first = d[i + 1] << 8 | d[i + 2]
        if first < 256:
            raise bad("confirm: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        first = d[i + 1]
        if first < 24:
            raise bad("confirm: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (first,) = u32(d, i + 1)
        if first < 65536:
            raise bad("confirm: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("confirm: first must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        last = b
        i += 1
    elif b == 0x1b:
        (last,) = u64(d, i + 1)
        if not 4294967296 <= last <= 9007199254740991:
            raise bad("confirm: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        last = d[i + 1] << 8 | d[i + 2]
        if last < 256:
            raise bad("confirm: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        last = d[i + 1]
        if last < 24:
            raise bad("confirm: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (last,) = u32(d, i + 1)
        if last < 65536:
            raise bad("confirm: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("confirm: last must be a whole number of 1..9007199254740991, in its shortest form")
    if i != end:
        raise bad("confirm: the frame ends too early or too late")
    return (18, peer, stream, kind, first, last)


def check_ping(frame: Sequence[Any]) -> None:
    if len(frame) != 3:
        raise bad("ping: the frame must be an array of 3")
    answer = frame[1]
    if answer is not True and answer is not False:
        raise bad("ping: answer must be true or false")
    token = frame[2]
    if type(token) is not int or not 0 <= token <= 4294967295:
        raise bad("ping: token must be a whole number of 0..4294967295")


def read_ping(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x83:
        raise bad("ping: the frame must be an array of 3")
    b = d[i + 2]
    if b != 0xf5 and b != 0xf4:
        raise bad("ping: answer must be true or false")
    answer = b == 0xf5
    b = d[i + 3]
    if b <= 0x17:
        token = b
        i += 4
    elif b == 0x19:
        token = d[i + 4] << 8 | d[i + 5]
        if token < 256:
            raise bad("ping: token must be a whole number of 0..4294967295, in its shortest form")
        i += 6
    elif b == 0x18:
        token = d[i + 4]
        if token < 24:
            raise bad("ping: token must be a whole number of 0..4294967295, in its shortest form")
        i += 5
    elif b == 0x1a:
        (token,) = u32(d, i + 4)
        if token < 65536:
            raise bad("ping: token must be a whole number of 0..4294967295, in its shortest form")
        i += 8
    else:
        raise bad("ping: token must be a whole number of 0..4294967295, in its shortest form")
    if i != end:
        raise bad("ping: the frame ends too early or too late")
    return (20, answer, token)


def check_bye(frame: Sequence[Any]) -> None:
    if len(frame) != 3:
        raise bad("bye: the frame must be an array of 3")
    code = frame[1]
    if type(code) is not int or not 0 <= code <= 65535:
        raise bad("bye: code must be a whole number of 0..65535")
    retry = frame[2]
    if type(retry) is not int or not 0 <= retry <= 86400000:
        raise bad("bye: retry must be a whole number of 0..86400000")


def read_bye(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x83:
        raise bad("bye: the frame must be an array of 3")
    b = d[i + 2]
    if b <= 0x17:
        code = b
        i += 3
    elif b == 0x19:
        code = d[i + 3] << 8 | d[i + 4]
        if code < 256:
            raise bad("bye: code must be a whole number of 0..65535, in its shortest form")
        i += 5
    elif b == 0x18:
        code = d[i + 3]
        if code < 24:
            raise bad("bye: code must be a whole number of 0..65535, in its shortest form")
        i += 4
    else:
        raise bad("bye: code must be a whole number of 0..65535, in its shortest form")
    b = d[i]
    if b <= 0x17:
        retry = b
        i += 1
    elif b == 0x19:
        retry = d[i + 1] << 8 | d[i + 2]
        if retry < 256:
            raise bad("bye: retry must be a whole number of 0..86400000, in its shortest form")
        i += 3
    elif b == 0x18:
        retry = d[i + 1]
        if retry < 24:
            raise bad("bye: retry must be a whole number of 0..86400000, in its shortest form")
        i += 2
    elif b == 0x1a:
        (retry,) = u32(d, i + 1)
        if not 65536 <= retry <= 86400000:
            raise bad("bye: retry must be a whole number of 0..86400000, in its shortest form")
        i += 5
    else:
        raise bad("bye: retry must be a whole number of 0..86400000, in its shortest form")
    if i != end:
        raise bad("bye: the frame ends too early or too late")
    return (23, code, retry)


def check_server_hello(frame: Sequence[Any]) -> None:
    if len(frame) != 7:
        raise bad("server-hello: the frame must be an array of 7")
    version = frame[1]
    if type(version) is not int or not 1 <= version <= 255:
        raise bad("server-hello: version must be a whole number of 1..255")
    features = frame[2]
    if not is_array(features) or len(features) > 32:
        raise bad("server-hello: features must be an array of at most 32")
    for features_one in features:
        if type(features_one) is not str or not 1 <= utf8_size(features_one) <= 32:
            raise bad("server-hello: features[] must be text of 1..32 bytes")
    nonce = frame[3]
    if type(nonce) is not bytes or len(nonce) != 32:
        raise bad("server-hello: nonce must be 32 bytes")
    frame_max = frame[4]
    if type(frame_max) is not int or not 4096 <= frame_max <= 65536:
        raise bad("server-hello: frame-max must be a whole number of 4096..65536")
    window = frame[5]
    if type(window) is not int or not 1 <= window <= 1024:
        raise bad("server-hello: window must be a whole number of 1..1024")
    agent = frame[6]
    if type(agent) is not str or not 0 <= utf8_size(agent) <= 64:
        raise bad("server-hello: agent must be text of 0..64 bytes")


def read_server_hello(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x87:
        raise bad("server-hello: the frame must be an array of 7")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        version = b
        i += 3
    elif b == 0x18:
        version = d[i + 3]
        if version < 24:
            raise bad("server-hello: version must be a whole number of 1..255, in its shortest form")
        i += 4
    else:
        raise bad("server-hello: version must be a whole number of 1..255, in its shortest form")
    b = d[i]
    if b == 0x98:
        size = d[i + 1]
        if not 24 <= size <= 32:
            raise bad("server-hello: features must be an array of at most 32, in its shortest form")
        i += 2
    elif 0x80 <= b <= 0x97:
        size = b - 0x80
        i += 1
    else:
        raise bad("server-hello: features must be an array of at most 32, in its shortest form")
    features_all: list[Any] = []
    for _ in range(size):
        b = d[i]
        if b == 0x78:
            size = d[i + 1]
            if not 24 <= size <= 32:
                raise bad("server-hello: features[] must be text of 1..32 bytes, in its shortest form")
            i += 2
        elif 0x61 <= b <= 0x77:
            size = b - 0x60
            i += 1
        else:
            raise bad("server-hello: features[] must be text of 1..32 bytes, in its shortest form")
        j = i + size
        features_one = str(d[i:j], "utf-8")
        i = j
        features_all.append(features_one)
    features = tuple(features_all)
    if d[i] != 0x58 or d[i + 1] != 0x20:
        raise bad("server-hello: nonce must be 32 bytes, in its shortest form")
    nonce = d[i + 2:i + 34]
    b = d[i + 34]
    if b == 0x19:
        frame_max = d[i + 35] << 8 | d[i + 36]
        if frame_max < 4096:
            raise bad("server-hello: frame-max must be a whole number of 4096..65536, in its shortest form")
        i += 37
    elif b == 0x1a:
        (frame_max,) = u32(d, i + 35)
        if not 65536 <= frame_max <= 65536:
            raise bad("server-hello: frame-max must be a whole number of 4096..65536, in its shortest form")
        i += 39
    else:
        raise bad("server-hello: frame-max must be a whole number of 4096..65536, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        window = b
        i += 1
    elif b == 0x19:
        window = d[i + 1] << 8 | d[i + 2]
        if not 256 <= window <= 1024:
            raise bad("server-hello: window must be a whole number of 1..1024, in its shortest form")
        i += 3
    elif b == 0x18:
        window = d[i + 1]
        if window < 24:
            raise bad("server-hello: window must be a whole number of 1..1024, in its shortest form")
        i += 2
    else:
        raise bad("server-hello: window must be a whole number of 1..1024, in its shortest form")
    b = d[i]
    if b == 0x78:
        size = d[i + 1]
        if not 24 <= size <= 64:
            raise bad("server-hello: agent must be text of 0..64 bytes, in its shortest form")
        i += 2
    elif 0x60 <= b <= 0x77:
        size = b - 0x60
        i += 1
    else:
        raise bad("server-hello: agent must be text of 0..64 bytes, in its shortest form")
    j = i + size
    agent = str(d[i:j], "utf-8")
    i = j
    if i != end:
        raise bad("server-hello: the frame ends too early or too late")
    return (1, version, features, nonce, frame_max, window, agent)


def check_pin_sent(frame: Sequence[Any]) -> None:
    if len(frame) != 4:
        raise bad("pin-sent: the frame must be an array of 4")
    user = frame[1]
    if type(user) is not int or not 1 <= user <= 999999999999999:
        raise bad("pin-sent: user must be a whole number of 1..999999999999999")
    retry = frame[2]
    if type(retry) is not int or not 0 <= retry <= 86400000:
        raise bad("pin-sent: retry must be a whole number of 0..86400000")
    valid = frame[3]
    if type(valid) is not int or not 0 <= valid <= 86400000:
        raise bad("pin-sent: valid must be a whole number of 0..86400000")


def read_pin_sent(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x84:
        raise bad("pin-sent: the frame must be an array of 4")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        user = b
        i += 3
    elif b == 0x1b:
        (user,) = u64(d, i + 3)
        if not 4294967296 <= user <= 999999999999999:
            raise bad("pin-sent: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        user = d[i + 3] << 8 | d[i + 4]
        if user < 256:
            raise bad("pin-sent: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        user = d[i + 3]
        if user < 24:
            raise bad("pin-sent: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (user,) = u32(d, i + 3)
        if user < 65536:
            raise bad("pin-sent: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("pin-sent: user must be a whole number of 1..999999999999999, in its shortest form")
    b = d[i]
    if b <= 0x17:
        retry = b
        i += 1
    elif b == 0x19:
        retry = d[i + 1] << 8 | d[i + 2]
        if retry < 256:
            raise bad("pin-sent: retry must be a whole number of 0..86400000, in its shortest form")
        i += 3
    elif b == 0x18:
        retry = d[i + 1]
        if retry < 24:
            raise bad("pin-sent: retry must be a whole number of 0..86400000, in its shortest form")
        i += 2
    elif b == 0x1a:
        (retry,) = u32(d, i + 1)
        if not 65536 <= retry <= 86400000:
            raise bad("pin-sent: retry must be a whole number of 0..86400000, in its shortest form")
        i += 5
    else:
        raise bad("pin-sent: retry must be a whole number of 0..86400000, in its shortest form")
    b = d[i]
    if b <= 0x17:
        valid = b
        i += 1
    elif b == 0x19:
        valid = d[i + 1] << 8 | d[i + 2]
        if valid < 256:
            raise bad("pin-sent: valid must be a whole number of 0..86400000, in its shortest form")
        i += 3
    elif b == 0x18:
        valid = d[i + 1]
        if valid < 24:
            raise bad("pin-sent: valid must be a whole number of 0..86400000, in its shortest form")
        i += 2
    elif b == 0x1a:
        (valid,) = u32(d, i + 1)
        if not 65536 <= valid <= 86400000:
            raise bad("pin-sent: valid must be a whole number of 0..86400000, in its shortest form")
        i += 5
    else:
        raise bad("pin-sent: valid must be a whole number of 0..86400000, in its shortest form")
    if i != end:
        raise bad("pin-sent: the frame ends too early or too late")
    return (2, user, retry, valid)


def check_registered(frame: Sequence[Any]) -> None:
    if len(frame) != 3:
        raise bad("registered: the frame must be an array of 3")
    user = frame[1]
    if type(user) is not int or not 1 <= user <= 999999999999999:
        raise bad("registered: user must be a whole number of 1..999999999999999")
    generation = frame[2]
    if type(generation) is not int or not 1 <= generation <= 9007199254740991:
        raise bad("registered: generation must be a whole number of 1..9007199254740991")


def read_registered(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x83:
        raise bad("registered: the frame must be an array of 3")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        user = b
        i += 3
    elif b == 0x1b:
        (user,) = u64(d, i + 3)
        if not 4294967296 <= user <= 999999999999999:
            raise bad("registered: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        user = d[i + 3] << 8 | d[i + 4]
        if user < 256:
            raise bad("registered: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        user = d[i + 3]
        if user < 24:
            raise bad("registered: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (user,) = u32(d, i + 3)
        if user < 65536:
            raise bad("registered: user must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("registered: user must be a whole number of 1..999999999999999, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        generation = b
        i += 1
    elif b == 0x1b:
        (generation,) = u64(d, i + 1)
        if not 4294967296 <= generation <= 9007199254740991:
            raise bad("registered: generation must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        generation = d[i + 1] << 8 | d[i + 2]
        if generation < 256:
            raise bad("registered: generation must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        generation = d[i + 1]
        if generation < 24:
            raise bad("registered: generation must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (generation,) = u32(d, i + 1)
        if generation < 65536:
            raise bad("registered: generation must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("registered: generation must be a whole number of 1..9007199254740991, in its shortest form")
    if i != end:
        raise bad("registered: the frame ends too early or too late")
    return (3, user, generation)


def check_welcome(frame: Sequence[Any]) -> None:
    if len(frame) != 4:
        raise bad("welcome: the frame must be an array of 4")
    epoch = frame[1]
    if type(epoch) is not int or not 0 <= epoch <= 9007199254740991:
        raise bad("welcome: epoch must be a whole number of 0..9007199254740991")
    counter = frame[2]
    if type(counter) is not int or not 1 <= counter <= 9007199254740991:
        raise bad("welcome: counter must be a whole number of 1..9007199254740991")
    backlog = frame[3]
    if type(backlog) is not int or not 0 <= backlog <= 9007199254740991:
        raise bad("welcome: backlog must be a whole number of 0..9007199254740991")


def read_welcome(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x84:
        raise bad("welcome: the frame must be an array of 4")
    b = d[i + 2]
    if b <= 0x17:
        epoch = b
        i += 3
    elif b == 0x1b:
        (epoch,) = u64(d, i + 3)
        if not 4294967296 <= epoch <= 9007199254740991:
            raise bad("welcome: epoch must be a whole number of 0..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x19:
        epoch = d[i + 3] << 8 | d[i + 4]
        if epoch < 256:
            raise bad("welcome: epoch must be a whole number of 0..9007199254740991, in its shortest form")
        i += 5
    elif b == 0x18:
        epoch = d[i + 3]
        if epoch < 24:
            raise bad("welcome: epoch must be a whole number of 0..9007199254740991, in its shortest form")
        i += 4
    elif b == 0x1a:
        (epoch,) = u32(d, i + 3)
        if epoch < 65536:
            raise bad("welcome: epoch must be a whole number of 0..9007199254740991, in its shortest form")
        i += 7
    else:
        raise bad("welcome: epoch must be a whole number of 0..9007199254740991, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        counter = b
        i += 1
    elif b == 0x1b:
        (counter,) = u64(d, i + 1)
        if not 4294967296 <= counter <= 9007199254740991:
            raise bad("welcome: counter must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        counter = d[i + 1] << 8 | d[i + 2]
        if counter < 256:
            raise bad("welcome: counter must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        counter = d[i + 1]
        if counter < 24:
            raise bad("welcome: counter must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (counter,) = u32(d, i + 1)
        if counter < 65536:
            raise bad("welcome: counter must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("welcome: counter must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if b <= 0x17:
        backlog = b
        i += 1
    elif b == 0x1b:
        (backlog,) = u64(d, i + 1)
        if not 4294967296 <= backlog <= 9007199254740991:
            raise bad("welcome: backlog must be a whole number of 0..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        backlog = d[i + 1] << 8 | d[i + 2]
        if backlog < 256:
            raise bad("welcome: backlog must be a whole number of 0..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        backlog = d[i + 1]
        if backlog < 24:
            raise bad("welcome: backlog must be a whole number of 0..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (backlog,) = u32(d, i + 1)
        if backlog < 65536:
            raise bad("welcome: backlog must be a whole number of 0..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("welcome: backlog must be a whole number of 0..9007199254740991, in its shortest form")
    if i != end:
        raise bad("welcome: the frame ends too early or too late")
    return (4, epoch, counter, backlog)


def check_accepted(frame: Sequence[Any]) -> None:
    if len(frame) != 6:
        raise bad("accepted: the frame must be an array of 6")
    recipient = frame[1]
    if type(recipient) is not int or not 1 <= recipient <= 999999999999999:
        raise bad("accepted: recipient must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("accepted: stream must be 8 bytes")
    first = frame[3]
    if type(first) is not int or not 1 <= first <= 9007199254740991:
        raise bad("accepted: first must be a whole number of 1..9007199254740991")
    last = frame[4]
    if type(last) is not int or not 1 <= last <= 9007199254740991:
        raise bad("accepted: last must be a whole number of 1..9007199254740991")
    how = frame[5]
    if type(how) is not int or not 0 <= how <= 2:
        raise bad("accepted: how must be a whole number of 0..2")


def read_accepted(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x86:
        raise bad("accepted: the frame must be an array of 6")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        recipient = b
        i += 3
    elif b == 0x1b:
        (recipient,) = u64(d, i + 3)
        if not 4294967296 <= recipient <= 999999999999999:
            raise bad("accepted: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        recipient = d[i + 3] << 8 | d[i + 4]
        if recipient < 256:
            raise bad("accepted: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        recipient = d[i + 3]
        if recipient < 24:
            raise bad("accepted: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (recipient,) = u32(d, i + 3)
        if recipient < 65536:
            raise bad("accepted: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("accepted: recipient must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("accepted: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x17:
        first = b
        i += 10
    elif b == 0x1b:
        (first,) = u64(d, i + 10)
        if not 4294967296 <= first <= 9007199254740991:
            raise bad("accepted: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        first = d[i + 10] << 8 | d[i + 11]
        if first < 256:
            raise bad("accepted: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        first = d[i + 10]
        if first < 24:
            raise bad("accepted: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (first,) = u32(d, i + 10)
        if first < 65536:
            raise bad("accepted: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("accepted: first must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        last = b
        i += 1
    elif b == 0x1b:
        (last,) = u64(d, i + 1)
        if not 4294967296 <= last <= 9007199254740991:
            raise bad("accepted: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        last = d[i + 1] << 8 | d[i + 2]
        if last < 256:
            raise bad("accepted: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        last = d[i + 1]
        if last < 24:
            raise bad("accepted: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (last,) = u32(d, i + 1)
        if last < 65536:
            raise bad("accepted: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("accepted: last must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if b <= 0x02:
        how = b
        i += 1
    else:
        raise bad("accepted: how must be a whole number of 0..2, in its shortest form")
    if i != end:
        raise bad("accepted: the frame ends too early or too late")
    return (12, recipient, stream, first, last, how)


def check_gap(frame: Sequence[Any]) -> None:
    if len(frame) != 4:
        raise bad("gap: the frame must be an array of 4")
    recipient = frame[1]
    if type(recipient) is not int or not 1 <= recipient <= 999999999999999:
        raise bad("gap: recipient must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("gap: stream must be 8 bytes")
    high = frame[3]
    if type(high) is not int or not 0 <= high <= 9007199254740991:
        raise bad("gap: high must be a whole number of 0..9007199254740991")


def read_gap(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x84:
        raise bad("gap: the frame must be an array of 4")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        recipient = b
        i += 3
    elif b == 0x1b:
        (recipient,) = u64(d, i + 3)
        if not 4294967296 <= recipient <= 999999999999999:
            raise bad("gap: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        recipient = d[i + 3] << 8 | d[i + 4]
        if recipient < 256:
            raise bad("gap: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        recipient = d[i + 3]
        if recipient < 24:
            raise bad("gap: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (recipient,) = u32(d, i + 3)
        if recipient < 65536:
            raise bad("gap: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("gap: recipient must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("gap: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if b <= 0x17:
        high = b
        i += 10
    elif b == 0x1b:
        (high,) = u64(d, i + 10)
        if not 4294967296 <= high <= 9007199254740991:
            raise bad("gap: high must be a whole number of 0..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        high = d[i + 10] << 8 | d[i + 11]
        if high < 256:
            raise bad("gap: high must be a whole number of 0..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        high = d[i + 10]
        if high < 24:
            raise bad("gap: high must be a whole number of 0..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (high,) = u32(d, i + 10)
        if high < 65536:
            raise bad("gap: high must be a whole number of 0..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("gap: high must be a whole number of 0..9007199254740991, in its shortest form")
    if i != end:
        raise bad("gap: the frame ends too early or too late")
    return (13, recipient, stream, high)


def check_deliver(frame: Sequence[Any]) -> None:
    if len(frame) != 7:
        raise bad("deliver: the frame must be an array of 7")
    sender = frame[1]
    if type(sender) is not int or not 1 <= sender <= 999999999999999:
        raise bad("deliver: sender must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("deliver: stream must be 8 bytes")
    n = frame[3]
    if type(n) is not int or not 1 <= n <= 9007199254740991:
        raise bad("deliver: n must be a whole number of 1..9007199254740991")
    flags = frame[4]
    if type(flags) is not int or not 0 <= flags <= 1:
        raise bad("deliver: flags must be a whole number of 0..1")
    arrived = frame[5]
    if type(arrived) is not int or not 0 <= arrived <= 9007199254740991:
        raise bad("deliver: arrived must be a whole number of 0..9007199254740991")
    body = frame[6]
    if type(body) is not bytes or not 0 <= len(body) <= 61440:
        raise bad("deliver: body must be 0..61440 bytes")


def read_deliver(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x87:
        raise bad("deliver: the frame must be an array of 7")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        sender = b
        i += 3
    elif b == 0x1b:
        (sender,) = u64(d, i + 3)
        if not 4294967296 <= sender <= 999999999999999:
            raise bad("deliver: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        sender = d[i + 3] << 8 | d[i + 4]
        if sender < 256:
            raise bad("deliver: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        sender = d[i + 3]
        if sender < 24:
            raise bad("deliver: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (sender,) = u32(d, i + 3)
        if sender < 65536:
            raise bad("deliver: sender must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("deliver: sender must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("deliver: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x17:
        n = b
        i += 10
    elif b == 0x1b:
        (n,) = u64(d, i + 10)
        if not 4294967296 <= n <= 9007199254740991:
            raise bad("deliver: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        n = d[i + 10] << 8 | d[i + 11]
        if n < 256:
            raise bad("deliver: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        n = d[i + 10]
        if n < 24:
            raise bad("deliver: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (n,) = u32(d, i + 10)
        if n < 65536:
            raise bad("deliver: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("deliver: n must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if b <= 0x01:
        flags = b
        i += 1
    else:
        raise bad("deliver: flags must be a whole number of 0..1, in its shortest form")
    b = d[i]
    if b <= 0x17:
        arrived = b
        i += 1
    elif b == 0x1b:
        (arrived,) = u64(d, i + 1)
        if not 4294967296 <= arrived <= 9007199254740991:
            raise bad("deliver: arrived must be a whole number of 0..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        arrived = d[i + 1] << 8 | d[i + 2]
        if arrived < 256:
            raise bad("deliver: arrived must be a whole number of 0..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        arrived = d[i + 1]
        if arrived < 24:
            raise bad("deliver: arrived must be a whole number of 0..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (arrived,) = u32(d, i + 1)
        if arrived < 65536:
            raise bad("deliver: arrived must be a whole number of 0..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("deliver: arrived must be a whole number of 0..9007199254740991, in its shortest form")
    b = d[i]
    if b == 0x58:
        size = d[i + 1]
        if size < 24:
            raise bad("deliver: body must be 0..61440 bytes, in its shortest form")
        i += 2
    elif b == 0x59:
        size = d[i + 1] << 8 | d[i + 2]
        if not 256 <= size <= 61440:
            raise bad("deliver: body must be 0..61440 bytes, in its shortest form")
        i += 3
    elif 0x40 <= b <= 0x57:
        size = b - 0x40
        i += 1
    else:
        raise bad("deliver: body must be 0..61440 bytes, in its shortest form")
    j = i + size
    body = d[i:j]
    i = j
    if i != end:
        raise bad("deliver: the frame ends too early or too late")
    return (14, sender, stream, n, flags, arrived, body)


def check_receipt(frame: Sequence[Any]) -> None:
    if len(frame) != 6:
        raise bad("receipt: the frame must be an array of 6")
    recipient = frame[1]
    if type(recipient) is not int or not 1 <= recipient <= 999999999999999:
        raise bad("receipt: recipient must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("receipt: stream must be 8 bytes")
    kind = frame[3]
    if type(kind) is not int or not 1 <= kind <= 3:
        raise bad("receipt: kind must be a whole number of 1..3")
    first = frame[4]
    if type(first) is not int or not 1 <= first <= 9007199254740991:
        raise bad("receipt: first must be a whole number of 1..9007199254740991")
    last = frame[5]
    if type(last) is not int or not 1 <= last <= 9007199254740991:
        raise bad("receipt: last must be a whole number of 1..9007199254740991")


def read_receipt(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x86:
        raise bad("receipt: the frame must be an array of 6")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        recipient = b
        i += 3
    elif b == 0x1b:
        (recipient,) = u64(d, i + 3)
        if not 4294967296 <= recipient <= 999999999999999:
            raise bad("receipt: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        recipient = d[i + 3] << 8 | d[i + 4]
        if recipient < 256:
            raise bad("receipt: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        recipient = d[i + 3]
        if recipient < 24:
            raise bad("receipt: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (recipient,) = u32(d, i + 3)
        if recipient < 65536:
            raise bad("receipt: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("receipt: recipient must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("receipt: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x03:
        kind = b
        i += 10
    else:
        raise bad("receipt: kind must be a whole number of 1..3, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        first = b
        i += 1
    elif b == 0x1b:
        (first,) = u64(d, i + 1)
        if not 4294967296 <= first <= 9007199254740991:
            raise bad("receipt: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        first = d[i + 1] << 8 | d[i + 2]
        if first < 256:
            raise bad("receipt: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        first = d[i + 1]
        if first < 24:
            raise bad("receipt: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (first,) = u32(d, i + 1)
        if first < 65536:
            raise bad("receipt: first must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("receipt: first must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if 0x01 <= b <= 0x17:
        last = b
        i += 1
    elif b == 0x1b:
        (last,) = u64(d, i + 1)
        if not 4294967296 <= last <= 9007199254740991:
            raise bad("receipt: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 9
    elif b == 0x19:
        last = d[i + 1] << 8 | d[i + 2]
        if last < 256:
            raise bad("receipt: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 3
    elif b == 0x18:
        last = d[i + 1]
        if last < 24:
            raise bad("receipt: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 2
    elif b == 0x1a:
        (last,) = u32(d, i + 1)
        if last < 65536:
            raise bad("receipt: last must be a whole number of 1..9007199254740991, in its shortest form")
        i += 5
    else:
        raise bad("receipt: last must be a whole number of 1..9007199254740991, in its shortest form")
    if i != end:
        raise bad("receipt: the frame ends too early or too late")
    return (17, recipient, stream, kind, first, last)


def check_busy(frame: Sequence[Any]) -> None:
    if len(frame) != 5:
        raise bad("busy: the frame must be an array of 5")
    recipient = frame[1]
    if type(recipient) is not int or not 1 <= recipient <= 999999999999999:
        raise bad("busy: recipient must be a whole number of 1..999999999999999")
    stream = frame[2]
    if type(stream) is not bytes or len(stream) != 8:
        raise bad("busy: stream must be 8 bytes")
    n = frame[3]
    if type(n) is not int or not 1 <= n <= 9007199254740991:
        raise bad("busy: n must be a whole number of 1..9007199254740991")
    retry = frame[4]
    if type(retry) is not int or not 0 <= retry <= 86400000:
        raise bad("busy: retry must be a whole number of 0..86400000")


def read_busy(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x85:
        raise bad("busy: the frame must be an array of 5")
    b = d[i + 2]
    if 0x01 <= b <= 0x17:
        recipient = b
        i += 3
    elif b == 0x1b:
        (recipient,) = u64(d, i + 3)
        if not 4294967296 <= recipient <= 999999999999999:
            raise bad("busy: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 11
    elif b == 0x19:
        recipient = d[i + 3] << 8 | d[i + 4]
        if recipient < 256:
            raise bad("busy: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 5
    elif b == 0x18:
        recipient = d[i + 3]
        if recipient < 24:
            raise bad("busy: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 4
    elif b == 0x1a:
        (recipient,) = u32(d, i + 3)
        if recipient < 65536:
            raise bad("busy: recipient must be a whole number of 1..999999999999999, in its shortest form")
        i += 7
    else:
        raise bad("busy: recipient must be a whole number of 1..999999999999999, in its shortest form")
    if d[i] != 0x48:
        raise bad("busy: stream must be 8 bytes, in its shortest form")
    stream = d[i + 1:i + 9]
    b = d[i + 9]
    if 0x01 <= b <= 0x17:
        n = b
        i += 10
    elif b == 0x1b:
        (n,) = u64(d, i + 10)
        if not 4294967296 <= n <= 9007199254740991:
            raise bad("busy: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 18
    elif b == 0x19:
        n = d[i + 10] << 8 | d[i + 11]
        if n < 256:
            raise bad("busy: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 12
    elif b == 0x18:
        n = d[i + 10]
        if n < 24:
            raise bad("busy: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 11
    elif b == 0x1a:
        (n,) = u32(d, i + 10)
        if n < 65536:
            raise bad("busy: n must be a whole number of 1..9007199254740991, in its shortest form")
        i += 14
    else:
        raise bad("busy: n must be a whole number of 1..9007199254740991, in its shortest form")
    b = d[i]
    if b <= 0x17:
        retry = b
        i += 1
    elif b == 0x19:
        retry = d[i + 1] << 8 | d[i + 2]
        if retry < 256:
            raise bad("busy: retry must be a whole number of 0..86400000, in its shortest form")
        i += 3
    elif b == 0x18:
        retry = d[i + 1]
        if retry < 24:
            raise bad("busy: retry must be a whole number of 0..86400000, in its shortest form")
        i += 2
    elif b == 0x1a:
        (retry,) = u32(d, i + 1)
        if not 65536 <= retry <= 86400000:
            raise bad("busy: retry must be a whole number of 0..86400000, in its shortest form")
        i += 5
    else:
        raise bad("busy: retry must be a whole number of 0..86400000, in its shortest form")
    if i != end:
        raise bad("busy: the frame ends too early or too late")
    return (21, recipient, stream, n, retry)


def check_moved(frame: Sequence[Any]) -> None:
    if len(frame) != 3:
        raise bad("moved: the frame must be an array of 3")
    host = frame[1]
    if type(host) is not str or not 1 <= utf8_size(host) <= 255:
        raise bad("moved: host must be text of 1..255 bytes")
    port = frame[2]
    if type(port) is not int or not 1 <= port <= 65535:
        raise bad("moved: port must be a whole number of 1..65535")


def read_moved(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x83:
        raise bad("moved: the frame must be an array of 3")
    b = d[i + 2]
    if b == 0x78:
        size = d[i + 3]
        if size < 24:
            raise bad("moved: host must be text of 1..255 bytes, in its shortest form")
        i += 4
    elif 0x61 <= b <= 0x77:
        size = b - 0x60
        i += 3
    else:
        raise bad("moved: host must be text of 1..255 bytes, in its shortest form")
    j = i + size
    host = str(d[i:j], "utf-8")
    i = j
    b = d[i]
    if 0x01 <= b <= 0x17:
        port = b
        i += 1
    elif b == 0x19:
        port = d[i + 1] << 8 | d[i + 2]
        if port < 256:
            raise bad("moved: port must be a whole number of 1..65535, in its shortest form")
        i += 3
    elif b == 0x18:
        port = d[i + 1]
        if port < 24:
            raise bad("moved: port must be a whole number of 1..65535, in its shortest form")
        i += 2
    else:
        raise bad("moved: port must be a whole number of 1..65535, in its shortest form")
    if i != end:
        raise bad("moved: the frame ends too early or too late")
    return (22, host, port)


def check_error(frame: Sequence[Any]) -> None:
    if len(frame) != 5:
        raise bad("error: the frame must be an array of 5")
    code = frame[1]
    if type(code) is not int or not 0 <= code <= 65535:
        raise bad("error: code must be a whole number of 0..65535")
    text = frame[2]
    if type(text) is not str or not 0 <= utf8_size(text) <= 200:
        raise bad("error: text must be text of 0..200 bytes")
    retry = frame[3]
    if type(retry) is not int or not 0 <= retry <= 86400000:
        raise bad("error: retry must be a whole number of 0..86400000")
    about = frame[4]
    if about is None:
        pass
    elif is_array(about) and len(about) == 3:
        if not is_array(about) or len(about) != 3:
            raise bad("error: about must be an array of 3")
        about_recipient = about[0]
        if type(about_recipient) is not int or not 1 <= about_recipient <= 999999999999999:
            raise bad("error: about.recipient must be a whole number of 1..999999999999999")
        about_stream = about[1]
        if type(about_stream) is not bytes or len(about_stream) != 8:
            raise bad("error: about.stream must be 8 bytes")
        about_n = about[2]
        if type(about_n) is not int or not 1 <= about_n <= 9007199254740991:
            raise bad("error: about.n must be a whole number of 1..9007199254740991")
    else:
        raise bad("error: about is none of its alternatives")


def read_error(d: bytes, i: int, end: int) -> Frame:
    if d[i] != 0x85:
        raise bad("error: the frame must be an array of 5")
    b = d[i + 3]
    if b <= 0x17:
        code = b
        i += 4
    elif b == 0x19:
        code = d[i + 4] << 8 | d[i + 5]
        if code < 256:
            raise bad("error: code must be a whole number of 0..65535, in its shortest form")
        i += 6
    elif b == 0x18:
        code = d[i + 4]
        if code < 24:
            raise bad("error: code must be a whole number of 0..65535, in its shortest form")
        i += 5
    else:
        raise bad("error: code must be a whole number of 0..65535, in its shortest form")
    b = d[i]
    if b == 0x78:
        size = d[i + 1]
        if not 24 <= size <= 200:
            raise bad("error: text must be text of 0..200 bytes, in its shortest form")
        i += 2
    elif 0x60 <= b <= 0x77:
        size = b - 0x60
        i += 1
    else:
        raise bad("error: text must be text of 0..200 bytes, in its shortest form")
    j = i + size
    text = str(d[i:j], "utf-8")
    i = j
    b = d[i]
    if b <= 0x17:
        retry = b
        i += 1
    elif b == 0x19:
        retry = d[i + 1] << 8 | d[i + 2]
        if retry < 256:
            raise bad("error: retry must be a whole number of 0..86400000, in its shortest form")
        i += 3
    elif b == 0x18:
        retry = d[i + 1]
        if retry < 24:
            raise bad("error: retry must be a whole number of 0..86400000, in its shortest form")
        i += 2
    elif b == 0x1a:
        (retry,) = u32(d, i + 1)
        if not 65536 <= retry <= 86400000:
            raise bad("error: retry must be a whole number of 0..86400000, in its shortest form")
        i += 5
    else:
        raise bad("error: retry must be a whole number of 0..86400000, in its shortest form")
    about: Any
    b = d[i]
    if b == 0xf6:
        if d[i] != 0xf6:
            raise bad("error: about must be null")
        about = None
        i += 1
    elif b == 0x83:
        if d[i] != 0x83:
            raise bad("error: about must be an array of 3")
        b = d[i + 1]
        if 0x01 <= b <= 0x17:
            about_1_recipient = b
            i += 2
        elif b == 0x1b:
            (about_1_recipient,) = u64(d, i + 2)
            if not 4294967296 <= about_1_recipient <= 999999999999999:
                raise bad("error: about.recipient must be a whole number of 1..999999999999999, in its shortest form")
            i += 10
        elif b == 0x19:
            about_1_recipient = d[i + 2] << 8 | d[i + 3]
            if about_1_recipient < 256:
                raise bad("error: about.recipient must be a whole number of 1..999999999999999, in its shortest form")
            i += 4
        elif b == 0x18:
            about_1_recipient = d[i + 2]
            if about_1_recipient < 24:
                raise bad("error: about.recipient must be a whole number of 1..999999999999999, in its shortest form")
            i += 3
        elif b == 0x1a:
            (about_1_recipient,) = u32(d, i + 2)
            if about_1_recipient < 65536:
                raise bad("error: about.recipient must be a whole number of 1..999999999999999, in its shortest form")
            i += 6
        else:
            raise bad("error: about.recipient must be a whole number of 1..999999999999999, in its shortest form")
        if d[i] != 0x48:
            raise bad("error: about.stream must be 8 bytes, in its shortest form")
        about_1_stream = d[i + 1:i + 9]
        b = d[i + 9]
        if 0x01 <= b <= 0x17:
            about_1_n = b
            i += 10
        elif b == 0x1b:
            (about_1_n,) = u64(d, i + 10)
            if not 4294967296 <= about_1_n <= 9007199254740991:
                raise bad("error: about.n must be a whole number of 1..9007199254740991, in its shortest form")
            i += 18
        elif b == 0x19:
            about_1_n = d[i + 10] << 8 | d[i + 11]
            if about_1_n < 256:
                raise bad("error: about.n must be a whole number of 1..9007199254740991, in its shortest form")
            i += 12
        elif b == 0x18:
            about_1_n = d[i + 10]
            if about_1_n < 24:
                raise bad("error: about.n must be a whole number of 1..9007199254740991, in its shortest form")
            i += 11
        elif b == 0x1a:
            (about_1_n,) = u32(d, i + 10)
            if about_1_n < 65536:
                raise bad("error: about.n must be a whole number of 1..9007199254740991, in its shortest form")
            i += 14
        else:
            raise bad("error: about.n must be a whole number of 1..9007199254740991, in its shortest form")
        about_1 = (about_1_recipient, about_1_stream, about_1_n)
        about = about_1
    else:
        raise bad("error: about is none of its alternatives")
    if i != end:
        raise bad("error: the frame ends too early or too late")
    return (24, code, text, retry, about)


CLIENT_CHECKS: Final[Mapping[int, Check]] = MappingProxyType({
    1: check_client_hello,
    2: check_pin_request,
    3: check_register_request,
    4: check_login_request,
    10: check_send,
    11: check_skip,
    15: check_ack,
    16: check_read,
    18: check_confirm,
    20: check_ping,
    23: check_bye,
})
CLIENT_READERS: Final = by_first_byte({
    1: read_client_hello,
    2: read_pin_request,
    3: read_register_request,
    4: read_login_request,
    10: read_send,
    11: read_skip,
    15: read_ack,
    16: read_read,
    18: read_confirm,
    20: read_ping,
    23: read_bye,
})
def read_server_wide(d: bytes, i: int, end: int) -> Frame:
    """A verb that has a byte of its own after its head."""
    verb = d[i + 2]
    if verb == 24:
        return read_error(d, i, end)
    return unknown(d, i, end)


SERVER_CHECKS: Final[Mapping[int, Check]] = MappingProxyType({
    1: check_server_hello,
    2: check_pin_sent,
    3: check_registered,
    4: check_welcome,
    12: check_accepted,
    13: check_gap,
    14: check_deliver,
    17: check_receipt,
    18: check_confirm,
    20: check_ping,
    21: check_busy,
    22: check_moved,
    23: check_bye,
    24: check_error,
})
SERVER_READERS: Final = by_first_byte({
    1: read_server_hello,
    2: read_pin_sent,
    3: read_registered,
    4: read_welcome,
    12: read_accepted,
    13: read_gap,
    14: read_deliver,
    17: read_receipt,
    18: read_confirm,
    20: read_ping,
    21: read_busy,
    22: read_moved,
    23: read_bye,
    24: read_server_wide,
})
