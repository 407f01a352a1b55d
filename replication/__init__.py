"""Tables with copies on several nodes, and who is responsible for which users. Knows no phones.

    cluster        one member: store, links, detector, and a replica of each group
      hearing      what its links tell, handed to whoever it is for
    replicated     a group as its users see it: write, transact, call, read, move
      outcome      how a write ends, and who waits for that
      procedures   what is run in a transaction
      gathering    writes of one pass become one submit
      casting      what was written by those who wait for nothing
      asking       questions to the node that serves a partition, and from others: sent, done, answered
      forwarding   what they are, and which are under way; naming: writes as they travel
    placed         which groups there are, and where their copies are
    labels         what tables are called between nodes
    carrier        between the core and the store: writes, effects, what was committed
      errands      what the core asks of the store
    core/          claims, streams, copies, settling: pure
    schema/        groups and tables that come, go and change at run time
    detector       who is alive (state: detectorstate)
      ending       whose process has ended, as is found out from its machine
    ranking        partition → the members that may hold it, in order
    placement      user → partition
    claim          (epoch, primary, heir) of a partition; durable before use
    identity       the cluster's secret and the node's own id, made once
    tables         the group `cluster`, and what a replica must remember
    zeromq/        links between nodes
    errors         what can be wrong with a request

On a single node every partition is claimed by that node, without an heir, with a higher epoch at every start.
"""
