"""The history's file: bounded, in order, and true after a crash in the middle of anything."""

import math
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from admin.statistics import layout
from admin.statistics.history import DAMAGED, HistoryReader, HistoryUnreadable, HistoryWriter
from admin.statistics.layout import MINUTE, SECOND, Record
from admin.statistics.minutes import keeps_most

START = 1_800_000_000.0


def written(path: Path, seconds: int, start: float = START) -> None:
    with HistoryWriter(path) as history:
        for second in range(1, seconds + 1):
            history.keep(start + second, 1.0, {"mail.sends": float(second), "sessions": 5.0})


def seen(path: Path, ring: int, **bounds: float) -> list[tuple[float, dict[str, float]]]:
    with HistoryReader(path) as history:
        names = history.names()
        return [(one.at - START, one.by_name(names)) for one in history.records(ring, **bounds)]  # type: ignore[arg-type]


def test_what_was_kept_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "h"
    written(path, 3)
    assert seen(path, SECOND) == [
        (second, {"mail.sends": second, "sessions": 5.0}) for second in (1.0, 2.0, 3.0)
    ]
    assert [at for at, _ in seen(path, SECOND, since=START + 2, until=START + 2)] == [2]


def test_a_minute_has_the_mean_but_the_most_of_what_a_mean_hides(tmp_path: Path) -> None:
    path = tmp_path / "h"
    with HistoryWriter(path) as history:
        for second in range(1, 121):
            lag = {"hub.lag_us.p99": 900.0} if second == 70 else {"hub.lag_us.p99": 10.0}
            history.keep(START + second, 1.0, {"mail.sends": float(second), **lag})
    assert seen(path, MINUTE) == [
        (60, {"mail.sends": 30.5, "hub.lag_us.p99": 10}),
        (120, {"mail.sends": 90.5, "hub.lag_us.p99": 900}),
    ]
    assert keeps_most("age.mail")
    assert not keeps_most("mail.acks")


def test_a_mean_counts_long_intervals_for_what_they_are(tmp_path: Path) -> None:
    with HistoryWriter(tmp_path / "h") as history:
        history.keep(START + 10, 10.0, {"logins": 1.0})
        history.keep(START + 60, 50.0, {"logins": 7.0})
    assert seen(tmp_path / "h", MINUTE) == [(60, {"logins": 6.0})]


def test_the_file_is_as_large_as_it_was_at_first_and_forgets_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "h"
    written(path, 1)
    size = path.stat().st_size
    written(path, layout.SECONDS + 9, start=START + 1)
    assert path.stat().st_size == size == layout.FILE_BYTES < 32 << 20
    times = [at for at, _ in seen(path, SECOND)]
    assert times == [float(second) for second in range(11, layout.SECONDS + 11)]
    assert len(seen(path, MINUTE)) == (layout.SECONDS + 9) // 60


def test_a_second_life_goes_on_where_the_first_ended_with_the_same_names(tmp_path: Path) -> None:
    path = tmp_path / "h"
    written(path, 2)
    with HistoryWriter(path) as history:
        history.keep(START + 50, 1.0, {"sessions": 9.0, "new": 1.0})
    assert [at for at, _ in seen(path, SECOND)] == [1, 2, 50]
    assert seen(path, SECOND)[-1][1] == {"sessions": 9.0, "new": 1.0}
    with HistoryReader(path) as history:
        assert history.names() == ["mail.sends", "sessions", "new"]


@given(where=st.integers(0, layout.SLOT_BYTES - 1), how=st.sampled_from(["cut", "flip"]))
@settings(max_examples=40, deadline=None)
def test_a_slot_that_is_torn_anywhere_is_no_record(where: int, how: str) -> None:
    whole = layout.pack(Record(SECOND, 7, START, 1.0, (1.0, 2.5) * (layout.NAMES_MAX // 2)))
    assert len(whole) == layout.SLOT_BYTES
    assert layout.unpack(whole, SECOND, 7) is not None
    if how == "cut":
        torn = (
            whole[:where] + layout.pack(Record(SECOND, 3_607, START, 1.0, (9.0,) * layout.NAMES_MAX))[where:]
        )
        found = layout.unpack(torn, SECOND, 7)
        assert found is None or found.sequence == 3_607, "either all of one, or none"
    else:
        torn = whole[:where] + bytes([whole[where] ^ 0x10]) + whole[where + 1 :]
        assert layout.unpack(torn, SECOND, 7) is None


def test_a_torn_record_is_left_out_and_written_over(tmp_path: Path) -> None:
    path = tmp_path / "h"
    written(path, 5)
    with path.open("r+b") as file:
        file.seek(layout.slot_at(SECOND, 5) + 34)
        file.write(b"\xff" * 4)
        file.seek(layout.slot_at(SECOND, 2) + 9)
        file.write(b"\xff")
    assert [at for at, _ in seen(path, SECOND)] == [1, 3, 4]
    with HistoryWriter(path) as history:
        history.keep(START + 20, 1.0, {"sessions": 1.0})
    assert [at for at, _ in seen(path, SECOND)] == [1, 3, 4, 20]


def test_a_torn_name_gives_its_place_to_the_next(tmp_path: Path) -> None:
    path = tmp_path / "h"
    written(path, 1)
    with path.open("r+b") as file:  # a crash before the third name was whole
        file.seek(layout.name_at(2))
        file.write(layout.pack_name("half")[:20])
    with HistoryWriter(path) as history:
        history.keep(START + 9, 1.0, {"whole": 4.0})
    assert seen(path, SECOND)[-1][1] == {"whole": 4.0}


@pytest.mark.parametrize("content", [b"not a history", b"\0" * layout.FILE_BYTES])
def test_a_foreign_file_is_put_aside_and_not_lost(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "h"
    path.write_bytes(content)
    written(path, 2)
    assert len(seen(path, SECOND)) == 2
    assert path.with_name(f"h{DAMAGED}").read_bytes() == content


def test_no_file_and_a_foreign_one_are_named(tmp_path: Path) -> None:
    with pytest.raises(HistoryUnreadable, match="No such file"):
        HistoryReader(tmp_path / "none")
    (tmp_path / "other").write_bytes(b"x" * 100)
    with pytest.raises(HistoryUnreadable, match="no history of this version"):
        HistoryReader(tmp_path / "other")


def test_more_figures_than_there_is_room_for_are_left_out_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "h"
    figures = {f"figure.{index}": float(index) for index in range(layout.NAMES_MAX + 3)}
    with HistoryWriter(path) as history:
        history.keep(START + 1, 1.0, {**figures, "x" * 200: 1.0})
        assert history.dropped == 4
    (record,) = seen(path, SECOND)
    assert len(record[1]) == layout.NAMES_MAX


def test_a_disk_that_takes_nothing_stops_nobody(tmp_path: Path) -> None:
    with HistoryWriter(tmp_path / "h") as history:
        history.keep(START + 1, 1.0, {"sessions": 1.0})
        fd = history._fd
        history._fd = os.open("/dev/full", os.O_RDWR)
        history.keep(START + 2, 1.0, {"sessions": 2.0})
        os.close(history._fd)
        history._fd = fd
        assert history.errors == 1
        history.keep(START + 3, 1.0, {"sessions": 3.0})
    assert [at for at, _ in seen(tmp_path / "h", SECOND)] == [1, 3]


def test_a_reader_follows_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "h"
    with HistoryWriter(path) as history:
        history.keep(START + 1, 1.0, {"sessions": 1.0})
        with HistoryReader(path) as reader:
            last = reader.records(SECOND)[-1].sequence
            assert reader.newest(SECOND, last) == []
            history.keep(START + 2, 1.0, {"sessions": 2.0})
            history.keep(START + 3, 1.0, {"sessions": 3.0})
            assert [one.at - START for one in reader.newest(SECOND, last)] == [2, 3]


def test_a_figure_that_was_not_there_is_not_zero() -> None:
    record = Record(SECOND, 1, START, 1.0, (math.nan, 0.0))
    packed = layout.unpack(layout.pack(record), SECOND, 1)
    assert packed is not None
    assert packed.by_name(["a", "b", "c"]) == {"b": 0.0}
