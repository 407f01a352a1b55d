"""The worlds of clusters: phones at any node, and nodes that route, keep mail, move partitions, come and go.

links       connections between nodes, as `replication.zeromq` makes them of a network that loses and doubles
keyring     whom a node lets in, by key, and whom it keeps links up to
events      what edges take from phones and answer, for checkers
accounts    everybody is registered
registering accounts of a node, for numbers that nobody has at first
newcomer    such a number, and two devices that want it
phone       a device that may connect to any node, and is pointed to its primary at times
edge        what a node does with sessions that are connected to it
ends        what nodes find where a peer listened, and filters that refuse in its name
ways        where things are, as the router asks a node
founding    how clusters begin: who is of which, and what each owns
belonging   who belongs to the cluster: rosters, what follows from them, and what operators do
surroundings  what a node is told of its world
node        detector, members, replica, mail, routing: one life of them
drawing     what a seed decides
calm        since when nothing has happened, to all or to one cluster
changing    nodes that come and go, by what operators do
scenario    what phones do, what is looked at, and when a world is at rest
several     the same with clusters that know one another
"""
