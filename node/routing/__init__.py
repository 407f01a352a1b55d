"""Edge and primary: between a session's socket and the mail core of whoever is the primary. Without I/O.

    router         what a node's composition makes and calls: verbs of sessions, messages of peers, claims, ticks
    surroundings   what the router asks of the node: who is primary, a way to send, accounts, phones
    state          all that is held       settings   its limits       codes   what goes over links between nodes
    homes          a user's partition, remembered
    seats          sessions by their tickets      logins   a login as one number

    keeping        the edge: sends that aren't answered, resent in the order of their pair when the primary changes
    opening        the edge: which partitions may be used at their primary, and what is said when one may
    seating        the edge: sessions that are announced to their user's primary
    handover       the edge: what of a session goes to the process that takes this one's place
    asking         account requests, both sides                    awaiting   … that wait for pledges
    hosting        the primary: sessions and senders at other edges
    dormant        the primary: sessions that nothing is about, as rows      dormancy   when one is a row
    answering      the primary: what mail says, to phones here and elsewhere
    telling        receipts between primaries                     retelling   … that are to be told again
    dispatch       a message of a peer, to whoever it is for      handling   … to the mail core
    reading        what a peer said, checked                       hot          … and what there is most of
    invariants     what must hold of the state

`DESIGN.md` says why it is so. On a node that stands alone there is no router: handlers call the mail core.
"""
