"""What a data directory is stays so; every start claims anew, with a higher epoch, durably."""

from itertools import pairwise
from pathlib import Path

import pytest
import trio

from replication.claim import Claim, claim_alone, read_claims
from replication.identity import DamagedIdentity, Identity, ensure_identity
from replication.tables import CLUSTER
from store.store import Store
from store.writes import DELETE


async def opened(path: Path, forget: str = "") -> tuple[Identity, dict[int, Claim]]:
    """One life of a node's group `cluster`."""
    with Store.open(path, (CLUSTER,)) as store:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run)
            group = store.group("cluster")
            identity = await ensure_identity(group)
            claims = await claim_alone(group, identity.node, identity.partitions)
            assert read_claims(group, identity.partitions) == claims
            if forget:
                await group.commit([(DELETE, group.table("identity").id, (forget,))])
            nursery.cancel_scope.cancel()
    return identity, claims


async def test_identity_stays_and_epochs_rise(tmp_path: Path) -> None:
    first, before = await opened(tmp_path / "store")
    again, after = await opened(tmp_path / "store")
    assert again == first
    assert set(before) == set(range(first.partitions))
    for partition, claim in after.items():
        assert claim.epoch == before[partition].epoch + 1
        assert claim.beats(before[partition])
        assert not before[partition].beats(claim)
        assert (claim.primary, claim.heir) == (first.node, None)


async def test_two_directories_are_two_nodes(tmp_path: Path) -> None:
    one, _ = await opened(tmp_path / "one")
    other, _ = await opened(tmp_path / "other")
    assert one.node != other.node
    assert one.secret != other.secret


@pytest.mark.parametrize("forgotten", ["secret", "node", "partitions"])
async def test_an_identity_in_part_is_refused(tmp_path: Path, forgotten: str) -> None:
    await opened(tmp_path / "store", forget=forgotten)
    with pytest.RaisesGroup(DamagedIdentity):
        await opened(tmp_path / "store")


A, B = b"A", b"B"


@pytest.mark.parametrize(
    ("winner", "known"),
    [
        (Claim(8, B, None, 8, (7, B)), Claim(8, A, None, 8, (7, A))),
        (Claim(8, B, None, 8, (7, B)), Claim(8, A, None, 6, (7, A))),
        (Claim(9, B, None, 8, (8, B)), Claim(9, A, None, 8, (8, A))),
        (Claim(9, B, None, 8, (8, B)), Claim(8, A, None, 6, (7, A))),
    ],
)
def test_a_floor_that_was_raised_beside_claims_of_the_same_epochs(winner: Claim, known: Claim) -> None:
    assert winner.raised_apart_from(known)


@pytest.mark.parametrize(
    ("winner", "known"),
    [
        (Claim(8, B, None, 8, (7, B)), Claim(7, B, None, 6, (6, A))),  # the next one
        (Claim(8, B, None, 8, (7, B)), Claim(8, A, None, 6, (7, B))),  # taken over just then
        (Claim(9, B, None, 8, (8, B)), Claim(9, A, None, 8, (8, B))),  # taken over after
        (Claim(8, B, None, 6, (7, B)), Claim(8, A, None, 6, (7, A))),  # nobody forgot
        (Claim(10, B, None, 8, (9, B)), Claim(10, A, None, 8, (9, A))),  # nobody remembers
        (Claim(1, B), Claim(1, A)),
    ],
)
def test_a_floor_that_may_have_been_raised_with_everybody_there(winner: Claim, known: Claim) -> None:
    assert not winner.raised_apart_from(known)


def test_the_secret_is_not_shown() -> None:
    assert "hush" not in repr(Identity(b"hush" * 8, b"n" * 8, 1024))


def test_the_highest_epoch_wins_then_the_highest_primary() -> None:
    claims = [Claim(1, b"a"), Claim(1, b"b"), Claim(2, b"a"), Claim(2, b"b")]
    for low, high in pairwise(claims):
        assert high.beats(low)
        assert not low.beats(high)
    assert not Claim(1, b"a").beats(Claim(1, b"a"))
