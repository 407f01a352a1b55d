"""The world of a cluster: phones at any node, and nodes that route, keep mail, move partitions, come and go.

links     connections between nodes, as `replication.zeromq` makes them of a network that loses and doubles
events    what edges take from phones and answer, for checkers
accounts  everybody is registered
phone     a device that may connect to any node, and is pointed to its primary at times
edge      what a node does with sessions that are connected to it
belonging who belongs to the cluster: rosters, what follows from them, and what operators do
node      detector, members, replica, mail, routing: one life of them
drawing   what a seed decides
scenario  what is done, what is looked at, and when a world is at rest
"""
