"""What is counted of routing between a phone's edge and its primary, on a member of a cluster."""

from typing import Final

from admin.statistics.figures import COUNTER, GAUGE, Figure, lines

FIGURES: Final[tuple[Figure, ...]] = (
    *lines(
        COUNTER,
        """
        routing.kept: sends of phones here that were kept until their primary answers
        routing.sent: of these, given to a primary, here or elsewhere, however often
        routing.resent: of these, given again after a change of claim or link
        routing.busy: sends here that were answered busy by the edge
        routing.busy_full: of these, for want of room
        routing.stale_answers: answers of a primary that isn't one any more, or to a session that is gone
        routing.unanswered: sends given back because their primary said nothing for too long
        routing.dropped: acks, reads and confirms of other edges that found nothing
        routing.opened: partitions opened at their primary
        routing.closed: partitions that were to be opened anew
        routing.announced: sessions announced to their primary
        routing.announced_again: of these, because their primary had missed something for them
        routing.superseded: sessions that ended because of a later login elsewhere
        routing.refused: sessions that their primary didn't take
        routing.choked: messages to a peer that found no room
        routing.asks: PIN requests, registrations and logins of phones here, or put here by other nodes
        routing.asks_failed: of these, refused because nobody could be reached in time
        routing.asks_again: of these, put again after a change of claim or link
        routing.asks_unpledged: registrations refused because no majority of the members pledged their partition in time
        routing.malformed: messages of peers that made no sense
        routing.not_understood.{channel}.{code}: messages of a newer release that this one doesn't know, passed over
        routing.unopened: messages of peers for a partition that they hadn't opened
        routing.handled: messages of other edges that were handed to mail here
        routing.origins_forgotten: senders at other edges that were forgotten for want of room
        routing.farewells_dropped: times that too many sessions ended while a link was full: all were announced anew
        routing.ends_dropped: sessions elsewhere that found no room to be told their end: announced again, and told then
        routing.tells: receipts told to other primaries
        routing.tells_again: of these, told once more
        routing.tells_put_off: receipts told here that found no room to be loaded, until there was some
        routing.tells_unserved: receipts told here of senders whose partition isn't served here
        routing.tells_called: partitions of which others were asked to tell again what wasn't taken in
        routing.tells_choked: receipts that found no room in a link to another primary, and were told again
        routing.told_choked: answers to receipts that found no room in a link, so that they were told again
        routing.retells_asked: questions to primaries to tell all of a pair again, since two records of a receipt met
        cluster.rebalancing.moved: partitions moved to where they are wanted
        cluster.rebalancing.failed: moves that were given up
        cluster.rebalancing.holds: partitions that stood still for a planned move
        cluster.rebalancing.holds_over_25_ms: of these, for longer than 25 ms
        cluster.rebalancing.holds_over_50_ms: of these, for longer than 50 ms
        cluster.rebalancing.holds_over_100_ms: of these, for longer than 100 ms
        cluster.rebalancing.holds_over_250_ms: of these, for longer than 250 ms
        cluster.rebalancing.holds_over_500_ms: of these, for longer than 500 ms
        cluster.rebalancing.holds_over_1000_ms: of these, for longer than 1000 ms
        cluster.rebalancing.holds_over_2000_ms: of these, for longer than 2000 ms
        """,
    ),
    *lines(
        GAUGE,
        """
        routing.kept_messages: sends that wait for their primary's answer
        routing.kept_bytes [bytes]: their bodies
        routing.kept_oldest_ms [ms]: for how long the oldest of them
        routing.sessions: sessions whose socket is here
        routing.sessions_remote: sessions at other edges whose users' primary this node is
        routing.sessions_dormant: of these, idle ones of which memory keeps a few bytes
        routing.sessions_to_announce: sessions that their primary is to be told of
        routing.partitions_served: partitions that are served here, as routing knows
        routing.partitions_waiting: partitions that are needed here and open nowhere
        routing.origins: senders at other edges of whom it is known where they spoke last
        routing.asks_waiting: account requests that wait for other nodes, and registrations that wait for pledges
        routing.partitions_unpledged: partitions served here that lack pledges, and refused a registration for that
        routing.tells_waiting: pairs whose senders' primaries are to be told something
        routing.retells_waiting: pairs of which that is to be asked, or was and isn't answered
        cluster.rebalancing.under_way: moves under way
        cluster.rebalancing.at_once: partitions that may stand still at once: fewer while that takes long
        cluster.rebalancing.hold_ms_most [ms]: for how long one stood still, at most, until it was served again
        """,
    ),
)
