"""Tests of `ops.bench.plan`: who writes to whom."""

from hypothesis import given
from hypothesis import strategies as st

from ops.bench.fleet import pairs_shape
from ops.bench.plan import Shape


@given(st.integers(1, 60), st.integers(1, 7))
def test_online_users_write_to_those_who_write_to_them(users: int, partners: int) -> None:
    shape = pairs_shape(users, partners)
    assert shape.users >= users
    for index in range(shape.users):
        others = shape.partners_of(index)
        assert len(set(others)) == partners
        assert index not in others
        assert all(0 <= other < shape.users and index in shape.partners_of(other) for other in others)


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_absent_recipients_get_mail_from_senders_only(
    senders: int, recipients: int, data: st.DataObject
) -> None:
    shape = Shape(senders, recipients, partners=data.draw(st.integers(1, recipients)))
    reached = {other for index in range(senders) for other in shape.partners_of(index)}
    assert all(senders <= other < shape.users for other in reached)
    assert all(not shape.partners_of(index) for index in range(senders, shape.users))
    if shape.pairs >= recipients * 2:
        assert len(reached) == recipients
