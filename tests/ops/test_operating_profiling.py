"""Looks into a node over the channel, and what its asker keeps of them."""

import json
from pathlib import Path
from xml.etree import ElementTree

from admin.shell.keeping import Keeping
from admin.statistics.service import Statistics
from ops.sampling import parts_of
from tests.ops.operated import ALICE, operated


async def test_a_profile_of_a_node_names_its_tasks_and_becomes_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "profile.svg"
    keeping = Keeping(str(picture))
    async with operated(tmp_path / "data") as node:
        await node.node.login(ALICE)
        words = keeping.words(("profile", "--seconds", "400ms", "--rate", "200", "--resting", "--top", "200"))
        found = await node.ask(" ".join(words))
        assert found["samples"] > 0
        assert any(
            row["function"] == "(no_task)" or row["function"].startswith("task_") for row in found["by_whole"]
        )
        parts = parts_of(node.operating.services)
        assert parts["profiling"]()["samples"] == found["samples"]
        assert Statistics in node.operating.services
    shown = keeping.keep(found)
    assert shown["written"] == str(picture)
    assert "stacks" not in shown
    assert ElementTree.parse(picture).getroot().tag.endswith("svg")


async def test_a_snapshot_has_tasks_threads_and_queues(tmp_path: Path) -> None:
    async with operated(tmp_path) as node:
        found = await node.ask("snapshot")
    hub = next(row for row in found["tasks"] if row["task"].endswith("Hub.run"))
    assert hub["at"].endswith("Hub._sleep")
    assert {"queue", "length", "limit", "age_s", "drain_s", "holds"} == set(found["queues"][0])
    assert any(row["thread"] == "MainThread" for row in found["threads"])


def test_stacks_become_collapsed_text_and_other_results_json(tmp_path: Path) -> None:
    text, other, whole = tmp_path / "p.folded", tmp_path / "info.json", tmp_path / "p.json"
    result = {"seconds": 1.0, "samples": 2, "stacks": ["a;b 2"]}
    assert Keeping(str(text)).keep(result) == {"seconds": 1.0, "samples": 2, "written": str(text)}
    assert text.read_text() == "a;b 2\n"
    Keeping(str(whole)).keep(result)
    assert json.loads(whole.read_text()) == result
    keeping = Keeping(str(other))
    assert keeping.words(("info",)) == ("info",)
    assert keeping.keep({"node": "00"}) == {"written": str(other)}
    assert json.loads(other.read_text()) == {"node": "00"}
