"""What is missing of clusters, from what their members say."""

from __future__ import annotations

from typing import Any

import attrs

from ops.faults.whole import missing


@attrs.frozen
class Said:
    """What one member says."""

    label: str
    served: int = 512
    alone: int = 0
    heirs: int = 512
    owned: tuple[int, int] = (1024, 1024)
    idle: bool = False

    def told(self) -> tuple[str, dict[str, Any]]:
        parts = {"served_here": self.served, "at_one_copy": self.alone, "served_by_nobody": 0}
        members = [
            {
                "node": f"{label}{n}", "state": "active", "cluster": label, "primary": 0 if self.idle else 512,
                "heir": self.heirs,
            }
            for label in ("north", "south")
            for n in (0, 1)
        ]  # fmt: skip
        clusters = {label: {"partitions": n} for label, n in zip(("north", "south"), self.owned, strict=True)}
        return self.label, {"node": "a", "partitions": parts, "members": members, "clusters": clusters}


def missing_of(*others: Said) -> str:
    """Of a member of the north and one of the south more."""
    return missing([one.told() for one in (Said("north"), Said("north"), Said("south"), *others)])


def test_nothing_is_missing_where_each_cluster_serves_what_it_owns_and_has_it_twice() -> None:
    assert missing_of(Said("south")) == ""


def test_the_first_of_each_cluster_says_what_stands_at_one_copy() -> None:
    assert "'at_one_copy': 1" in missing([Said("north").told(), Said("south", alone=1).told()])
    assert missing_of(Said("south", alone=1)) == ""


def test_a_member_that_serves_nothing_has_something_to_come() -> None:
    assert "has nothing to serve" in missing([Said("north", idle=True).told()])


def test_what_is_on_its_way_to_another_cluster_is_missing_for_whoever_knows_of_it() -> None:
    assert missing_of(Said("south", served=511)).startswith("served: ")
    assert "owned, as a knows it: {'north': 1023, 'south': 1025}" in missing_of(
        Said("south", owned=(1023, 1025))
    )


def test_an_heir_in_another_cluster_is_missed() -> None:
    assert (
        missing_of(Said("south", heirs=511))
        == "south has 1024 partitions as primary and 1022 as heir, as a knows it"
    )
