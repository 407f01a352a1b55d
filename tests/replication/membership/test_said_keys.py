"""Who has heard a node say which keys it has lets it in, though others who haven't heard that have changed its row."""

from __future__ import annotations

import attrs

from replication.membership.member import ACTIVE, REMOVED, Member, with_revoked
from replication.membership.membership import Membership

NODE, OTHER = b"n" * 8, b"o" * 8
FIRST = Member(node=NODE, state=ACTIVE, counter=1, editor=OTHER, key="k0", address="")
BEGUN = attrs.evolve(FIRST, counter=2, editor=NODE, next_key="k1")
DONE = attrs.evolve(BEGUN, counter=3, key="k1", next_key="", revoked=with_revoked(BEGUN))
WEIGHED = attrs.evolve(FIRST, counter=3, editor=OTHER, weight=50)
"""By somebody who has heard of neither; it stands over both."""


def keys_of(*rows: Member) -> tuple[str, str] | None:
    """Key and next key with which a node is let in whose row was changed to these, one after the other."""
    membership = Membership.__new__(Membership)
    membership._said = {}
    linked = [membership.link_to(row) for row in rows][-1]
    return None if linked is None else (linked.key, linked.next_key)


def test_a_next_key_that_others_take_out_of_the_row_opens_as_before() -> None:
    assert keys_of(FIRST, BEGUN) == ("k0", "k1")
    assert keys_of(FIRST, BEGUN, WEIGHED) == ("k0", "k1")
    assert keys_of(FIRST, WEIGHED) == ("k0", "")


def test_a_key_that_the_node_has_revoked_isnt_put_back_by_others() -> None:
    assert keys_of(BEGUN, DONE, WEIGHED) == ("k1", "")
    assert keys_of(BEGUN, DONE, attrs.evolve(DONE, counter=4, editor=OTHER, weight=50)) == ("k1", "")


def test_what_the_node_takes_back_itself_opens_nothing_more() -> None:
    given_up = attrs.evolve(BEGUN, counter=3, next_key="")
    assert keys_of(BEGUN, given_up, attrs.evolve(WEIGHED, counter=4)) == ("k0", "")


def test_what_others_know_by_now_stands_over_what_the_node_said_before() -> None:
    later = attrs.evolve(DONE, counter=4, editor=OTHER, weight=50)
    assert keys_of(BEGUN, later) == ("k1", "")
    assert keys_of(BEGUN, attrs.evolve(later, state=REMOVED)) is None
