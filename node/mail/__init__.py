"""Mail: numbering, waiting, handing over, acknowledging. Pure cores, and a thin driver for the store.

effects      what the core asks for, as plain tuples
intervals    sets of numbers, nearly always one interval
pair         what is remembered of one (recipient, sender, stream), its row, and the law by which rows merge
state        all that the core holds in memory; no logic
invariants   what must hold of it between any two events
loading      pairs and boxes brought in from the store, and let go again
numbering    send and skip: the primary's rule for n
delivery     handing messages to a recipient's session, in order, within its window
acking       ack and read
receipts     what senders are still to be told
expiry       age limit, purging of pairs, ending what waited for a device that was replaced
dropping     partitions that this node doesn't serve any more are forgotten
healing      what merged pairs say is told to their senders once more
retelling    so are those of which two records of a receipt met, wherever that was seen      notes   … as they are held
wipes        how far such an ending has come
writebehind  what is due is committed, in one batch at a time
gathering    when the next batch may go, after one of many messages
pacing       how long a message waits for its ack before it is written
settling     what the outcome of a commit means for those who wait for it
presence     a user's session comes and goes
quiescing    everything written and answered, before sessions go to another process
resuming     a session goes on there, with what it has in flight
settings     the limits, and their relations
reconcile    a merged pair and its messages are made to agree, in the store's own transaction
tables       the tables of mail, and a group of them alone, for simulations and tests
rows         batches as writes of the store, and its reads
committing   what the driver needs of whoever keeps the rows
replicated   the same, of a replicated group
driver       carries out the core's effects that concern the store
sweep        looks through the store for what grew too old
"""
