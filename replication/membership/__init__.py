"""Who belongs to a cluster, and how that changes while it runs.

member        a node as everybody knows it: a row, and which of two rows stands
owner         which cluster a partition belongs to, of clusters that know one another: the same kind of row
roster        all rows of a node, and their digest
exchange      what nodes say to one another of their rosters; pure
errors        what can't be done
keeping       the roster on the disk
membership    the roster of a running member, applied to links, detector and replicas
joining       how a node becomes a member before it runs
rebalancing   brings partitions to where they are wanted
status        what an operator sees
intents       what this node has changed, until everybody has heard of it
rekeying      another key for a node
refusal       nobody lets this node in, and why
departing     a member that leaves for good
operating     what an operator does
handing       what a member does when it stops, and others when they hear of it
far           nodes of other clusters, and what gateways tell
sealing       when a new owner of a partition may give out what must not be given out twice
settings      times and rates
"""
