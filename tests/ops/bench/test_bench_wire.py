"""`bench wire` measures every frame that it names, and prints one JSON object."""

import json

import pytest

from ops.bench import wire


def test_each_frame_is_measured_in_every_way(capsys: pytest.CaptureFixture[str]) -> None:
    wire.command(body=80, calls=16, as_json=True)
    result = json.loads(capsys.readouterr().out)
    for subject in wire.subjects(80):
        assert result[f"{subject.name}_decode_us"] > 0
        assert result[f"{subject.name}_cbor2_and_check_us"] > 0
        assert (result[f"{subject.name}_encode_hot_us"] is None) == (subject.write is None)


def test_the_frames_are_those_of_the_protocol() -> None:
    for subject in wire.subjects(80):
        subject.check(subject.frame)
