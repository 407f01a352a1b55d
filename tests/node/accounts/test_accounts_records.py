import attrs
import cbor2
from hypothesis import given
from hypothesis import strategies as st

from node.accounts.records import Account, from_value, merge

streams = st.sampled_from([bytes([i]) * 8 for i in range(3)])


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Few different values, so that copies often differ in one thing only."""
    generation = draw(st.integers(1, 3))
    return Account(
        key=draw(st.sampled_from([b"k" * 32, b"l" * 32])),
        stream=draw(streams),
        generation=generation,
        since=draw(st.integers(0, 2)),
        wiping=() if generation == 1 else tuple(draw(st.lists(streams, max_size=2))),
        block_changes=draw(st.integers(0, 3)),
    )


def merged(*copies: Account) -> Account:
    value = copies[0].to_value()
    for copy in copies[1:]:
        value = merge(value, copy.to_value())
    return from_value(value)


@given(accounts())
def test_a_record_survives_the_store(account: Account) -> None:
    assert from_value(cbor2.loads(cbor2.dumps(account.to_value()))) == account


@given(accounts(), accounts())
def test_merging_is_commutative(a: Account, b: Account) -> None:
    assert merged(a, b) == merged(b, a)


@given(accounts(), accounts(), accounts())
def test_merging_is_associative(a: Account, b: Account, c: Account) -> None:
    assert merged(merged(a, b), c) == merged(a, merged(b, c))


@given(accounts(), accounts())
def test_merging_is_idempotent(a: Account, b: Account) -> None:
    assert merged(a, a) == a
    assert merged(merged(a, b), b) == merged(a, b)


@given(accounts())
def test_merging_with_nothing_is_the_record(a: Account) -> None:
    assert from_value(merge(None, a.to_value())) == a


@given(st.lists(accounts(), min_size=1, max_size=5))
def test_a_newer_device_key_is_never_undone(copies: list[Account]) -> None:
    newest = max(copy.generation for copy in copies)
    result = merged(*copies)
    assert result.generation == newest
    assert (result.key, result.stream) in {(c.key, c.stream) for c in copies if c.generation == newest}


@given(accounts(), accounts())
def test_the_later_block_wins_whichever_the_device(a: Account, b: Account) -> None:
    later = max(a, b, key=lambda account: account.block_changes)
    assert merged(a, b).blocked == later.blocked


@given(accounts().filter(lambda account: account.wiping))
def test_a_finished_wipe_does_not_come_back(account: Account) -> None:
    done = attrs.evolve(account, wiping=())
    assert merged(account, done) == merged(done, account) == done


@given(accounts())
def test_blocking_counts_only_what_changes(account: Account) -> None:
    blocked = account.with_block(True)
    assert blocked.blocked
    assert blocked.with_block(True) is blocked
    assert not blocked.with_block(False).blocked
    assert blocked.with_block(False).block_changes == blocked.block_changes + 1
