"""Peers are asked what they know, and told what they claim."""

from replication.core import messages
from tests.replication.core.stand import Stand


def test_claims_are_compared_now_and_then_so_that_lost_news_comes_late_but_comes() -> None:
    stand = Stand(3).ready()
    stand.crash("B")
    stand.dead("B", "A")
    for _ in range(5):
        stand["A"].disk()
        stand.links[b"A", b"C"].clear()
    assert stand.claim("A").epoch == 2
    assert stand.claim("C").epoch == 1
    stand.run(4_000)
    assert stand.claim("C").epoch == 2


def test_hails_stop_when_a_peer_is_dead() -> None:
    stand = Stand(2).ready()
    stand.crash("B")
    stand.dead("B", "A")
    before = len(stand.sent(messages.HAIL, "A", "B"))
    stand.run(5_000)
    assert len(stand.sent(messages.HAIL, "A", "B")) == before
