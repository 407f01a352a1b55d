"""The model of a disk: what is durable of a file, against a dumb rewrite that keeps every byte's history."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ops.powerloss.files import FileState, Sized, Written, split

SIZE = 4096


@given(
    offset=st.integers(0, 40), length=st.integers(1, 40), first=st.integers(0, 60), more=st.integers(1, 40)
)
def test_split_divides_a_write_at_a_range(offset: int, length: int, first: int, more: int) -> None:
    change = Written(1, offset, bytes(range(length)))
    inside, outside = split(change, first, first + more)
    bytes_of = {part.offset + i: byte for part in [*inside, *outside] for i, byte in enumerate(part.data)}
    assert bytes_of == {offset + i: byte for i, byte in enumerate(change.data)}
    assert all(first <= part.offset and part.end <= first + more for part in inside)
    assert all(part.end <= first or part.offset >= first + more for part in outside)


actions = st.one_of(
    st.tuples(st.just("write"), st.integers(0, SIZE - 700), st.integers(1, 700)),
    st.tuples(st.just("through"), st.integers(0, SIZE - 700), st.integers(1, 700)),
    st.tuples(st.just("sync"), st.integers(0, 3), st.just(0)),
)


@settings(max_examples=100, deadline=None)
@given(plan=st.lists(actions, max_size=25), seed=st.integers(0, 1000), keep=st.floats(0, 1))
def test_every_byte_is_durable_or_from_its_history_since(
    plan: list[tuple[str, int, int]], seed: int, keep: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = FileState(Path(folder) / "file")
        file.content.write_bytes(bytes(SIZE))
        durable = bytearray(SIZE)
        history: list[list[int]] = [[] for _ in range(SIZE)]  # of each byte, since it was durable
        order = 0
        for what, at, length in plan:
            order += 1
            if what == "sync":  # it began before the last `at` changes
                pending = [c for c in file.pending if isinstance(c, Written)]
                settled = [c for c in pending if c.order < order - at]
                later = [c for c in pending if c.order >= order - at]
                file.sync(order - at)
                for change in settled:
                    durable[change.offset : change.end] = change.data
                history = [[] for _ in range(SIZE)]
                for change in later:
                    for i, byte in enumerate(change.data):
                        history[change.offset + i].append(byte)
                continue
            data = random.Random(order).randbytes(length)
            if what == "write":
                file.change(Written(order, at, data))
                for i, byte in enumerate(data):
                    history[at + i].append(byte)
            else:
                file.write_through(Written(order, at, data))
                for i in range(at - at % 512, min(SIZE, -(-(at + length) // 512) * 512)):
                    if history[i]:
                        durable[i] = history[i][-1]
                        history[i] = []
                durable[at : at + length] = data
        assert file.content.read_bytes() == bytes(durable)
        file.settle_torn(random.Random(seed), keep, 512)
        for i, byte in enumerate(file.content.read_bytes()):
            assert byte == durable[i] or byte in history[i]


def test_a_torn_sector_never_skips_a_change(tmp_path: Path) -> None:
    for seed in range(200):
        file = FileState(tmp_path / f"{seed}")
        file.content.write_bytes(bytes(1024))
        for n in range(1, 6):
            file.change(Written(n, 10 * n, bytes([n])))
        file.settle_torn(random.Random(seed), 0.7, 512)
        marks = [file.content.read_bytes()[10 * n] for n in range(1, 6)]
        assert marks == sorted(marks, reverse=True) or marks == [
            n if n <= sum(map(bool, marks)) else 0 for n in range(1, 6)
        ]


def test_a_truncation_is_settled_with_what_came_before_a_write_through(tmp_path: Path) -> None:
    file = FileState(tmp_path / "f")
    file.content.write_bytes(b"0123456789")
    file.change(Written(1, 0, b"AB"))
    file.change(Sized(2, 4, grow_only=False))
    file.change(Written(3, 600, b"later"))
    file.write_through(Written(4, 2, b"C"))
    assert file.content.read_bytes() == b"ABC3"
    file.settle_all()
    assert file.content.read_bytes() == b"ABC3" + bytes(596) + b"later"
