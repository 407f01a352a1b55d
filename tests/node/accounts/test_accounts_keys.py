from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from node.accounts.keys import is_device_key, verify
from node.accounts.login import STAND_IN_KEY

P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P
seeds = st.binary(min_size=32, max_size=32)


def decompress(encoded: bytes) -> tuple[int, int] | None:
    """RFC 8032, 5.1.3, as it is written there."""
    y = int.from_bytes(encoded, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    return (P - x if x & 1 != sign else x), y


def doubled(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    product = D * x * x * y * y
    return (
        2 * x * y * pow(1 + product, P - 2, P) % P,
        (y * y + x * x) * pow(1 - product, P - 2, P) % P,
    )


def is_low_order(point: tuple[int, int]) -> bool:
    """Eight times it is the neutral element."""
    return doubled(doubled(doubled(point))) == (0, 1)


def low_order_points() -> set[bytes]:
    """By brute force: multiply points by the group's odd order, what is left has order 8 or less."""
    order = 2**252 + 27742317777372353535851937790883648493
    found: set[bytes] = set()
    for y in range(2, 100):
        point = decompress(y.to_bytes(32, "little"))
        if point is not None and len(found) < 8:
            rest = (0, 1)
            for bit in bin(order)[2:]:
                rest = doubled(rest)
                if bit == "1":
                    rest = added(rest, point)
            found.add((rest[1] | (rest[0] & 1) << 255).to_bytes(32, "little"))
    return found


def added(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = one, other
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, P - 2, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, P - 2, P) % P,
    )


@given(seeds)
def test_every_key_that_a_device_makes_is_taken(seed: bytes) -> None:
    assert is_device_key(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


@settings(max_examples=60)
@given(seeds)
def test_taken_are_exactly_the_canonical_points_of_high_order(encoded: bytes) -> None:
    point = decompress(encoded)
    assert is_device_key(encoded) == (point is not None and not is_low_order(point))


def test_every_point_of_low_order_is_refused() -> None:
    points = low_order_points()
    assert len(points) == 8
    assert not any(is_device_key(point) for point in points)


def test_encodings_that_openssl_takes_and_the_rfc_forbids_are_refused() -> None:
    forged = bytes([1]) + bytes(63)
    not_canonical = (P + 1).to_bytes(32, "little")
    Ed25519PublicKey.from_public_bytes(not_canonical).verify(forged, b"anything")  # this is why they are
    assert not is_device_key(not_canonical)
    for y in range(P, 2**255):
        assert not is_device_key(y.to_bytes(32, "little"))
        assert not is_device_key((y | 1 << 255).to_bytes(32, "little"))


@given(st.binary(max_size=64).filter(lambda key: len(key) != 32))
def test_other_lengths_are_refused(key: bytes) -> None:
    assert not is_device_key(key)


def test_a_signature_is_by_one_key_over_one_message() -> None:
    device = Ed25519PrivateKey.from_private_bytes(bytes(32))
    key = device.public_key().public_bytes_raw()
    signature = device.sign(b"message")
    assert verify(key, signature, b"message")
    assert not verify(key, signature, b"another")
    assert not verify(key, signature[:-1] + b"\xff", b"message")
    assert not verify(STAND_IN_KEY, signature, b"message")


def test_the_stand_in_key_costs_what_a_real_one_costs() -> None:
    """A key that OpenSSL can't decompress is refused in a fiftieth of the time."""
    assert is_device_key(STAND_IN_KEY)
