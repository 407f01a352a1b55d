"""How a cluster is, in a few lines: what an operator looks for first is there, and nothing that is well takes room."""

from __future__ import annotations

from typing import Any

from ops.clusterglance import glance


def member(node: str, state: str = "active", alive: str = "alive", release: str = "0.1.0") -> dict[str, Any]:
    return {"node": node, "state": state, "alive": alive, "release": release}


def answer(**more: Any) -> dict[str, Any]:
    """What a node says of three that are well."""
    return {
        "node": "a",
        "name": "town",
        "members": [member("a", alive="this"), member("b"), member("c")],
        "addresses": [{"node": "a"}],
        "keys": [{"node": "a"}],
        "partitions": {
            "all": 1024, "served_here": 341, "complete_here": 683, "moving": 0, "at_one_copy": 0, "served_by_nobody": 0,
        },
        "at_one_copy": [],
        "served_by_nobody": [],
        "links": {"up": 12, "all": 12, "waiting": 0, "sent": {"users": 5}},
        "links_down": [],
        "clusters": {"town": {"members": 3, "partitions": 1024}},
        "rebalancing": {
            "moved": 4, "failed": 0, "under_way": 0, "holds": 4, "hold_ms_most": 31, "holds_over_500_ms": 0,
        },
        "detector": {"suspicions": 2, "deaths": 1, "ended": 1, "wrong_deaths": 0},
        "not_understood": [],
        "agreed": 3,
        "speaks": [1, 2],
        "spoken": 2,
        **more,
    }  # fmt: skip


def test_of_a_cluster_that_is_well_few_lines_say_so() -> None:
    shown = glance(answer())
    assert shown["members"] == "3: 3 alive; 3 known to have the same list"
    assert shown["partitions"] == "1024: 341 served here, 683 complete here"
    assert shown["at one copy"] == "none of those that are served here"
    assert shown["served by nobody"] == "none"
    assert shown["links"] == "12 of 12 up; nothing waits in them"
    assert shown["versions"] == "release 0.1.0; all speak 2, this node 1 to 2"
    assert (
        shown["moves"] == "4 moved, 0 given up, 0 under way; held up for 31 ms at most, 0 for more than 500"
    )
    assert shown["detector"] == "called others suspect 2 times, dead 1 times (1 as ended), 0 of these wrongly"
    assert "links down" not in shown
    assert "clusters" not in shown


def test_what_is_wrong_is_named() -> None:
    found = answer(
        members=[
            member("a", alive="this"), member("b", alive="dead", release=""), member("d", "invited", "", ""),
            member("e", "removed", ""),
        ],
        at_one_copy=[{"partition": p, "for_s": 2.0 * p} for p in (1, 2, 3, 9)],
        links_down=[
            {"peer": "b", "channel": "users", "why": "silent"}, {"peer": "d", "channel": "users", "why": "-"},
        ],
        not_understood=[{"channel": "users", "code": 201, "messages": 7}],
    )  # fmt: skip
    found["partitions"] = {**found["partitions"], "at_one_copy": 4, "moving": 2}
    shown = glance(found)
    assert shown["members"] == "3: 1 alive, 1 dead, 1 invited; 3 known to have the same list"
    assert shown["partitions"].endswith(", 2 moving")
    assert shown["at one copy"] == "4, the longest for 18 s: 1-3 9"
    assert [one["peer"] for one in shown["links down"]] == ["b"], "nobody waits for one that is only invited"
    assert "7 messages of a later one not understood" in shown["versions"]


def test_of_many_partitions_some_are_named() -> None:
    listed = [{"partition": p, "for_s": 1.0} for p in range(0, 64, 2)]
    found = answer(served_by_nobody=listed)
    found["partitions"] = {**found["partitions"], "served_by_nobody": 32}
    assert glance(found)["served by nobody"] == "32, the longest for 1 s: 0 2 4 6 8 10 12 14 16 18 20 22 …"


def test_of_several_clusters_each_has_its_share() -> None:
    shares = {"north": {"members": 2, "partitions": 1000}, "south": {"members": 1, "partitions": 24}}
    assert glance(answer(clusters=shares))["clusters"] == (
        "north 2 members, 1000 partitions; south 1 members, 24 partitions"
    )


def test_a_node_that_stands_alone_says_how_to_begin() -> None:
    assert "cluster init" in glance({"node": "a", "alone": True})["alone"]
