"""Copies of one group on several nodes: a pure state machine, events in and effects out. Knows no socket, no clock.

Read downwards:

    messages    what nodes say to one another
    effects     what the core asks of whoever drives it
    settings    limits, and their relations
    knowledge   what one node has of another's changes: cursors, and how acks move them
    state       everything a replica holds in memory
    rows        what of it is durable, in the group's own environment
    holders     who is to have a copy of a partition
    claims      learning, making and adopting claims; stepping down
    streams     a primary's frames to its holders: opening, windows, resuming, acks
    lagging     by table, what a peer has not acknowledged, and how old it is
    inbound     a holder's side of a stream: fencing, applying, acks
    pulling     one way to catch up: asking any node for the changes of partitions since a cursor
    copies      when a copy is live, filling or void
    leaving     copies that are not to be any more: when they may be emptied
    settling    writes that wait for the heir
    greeting    who is there, and who has told what it claims and knows
    meeting     whether a peer has told all that it has, since it was away last
    unasked     whether a peer, the primary, hasn't asked for what is here
    keepers     what a copy is known to have of what was given out
    pledges     to which claim a partition is pledged, and who has pledged it to this node's: state
    pledging    … asked for, and given: before something is given out
    completing  complete copies, told until that is heard
    yielding    who lacks something asks whoever has more to serve
    taking      starts, takeovers, lost heirs
    moving      planned moves
    giving      how long one stood still for it: until it is served where it went to
    holds       how long partitions stood still, counted
    pace        how many do at once
    purging     forgetting tombstones
    digests     anti-entropy: ranges compared at exactly one sequence
    replica     the front: what happened → which of the above
    invariants  what must hold between any two events
"""
