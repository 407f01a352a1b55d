"""The one table of commands: shell, one-shot commands and tests use it alike.

table         what a command is, who may run it, what it may ask of the node
words         a line's words made into a command and its checked arguments
registry      all commands of a node, in one tuple
onhub         what changes sessions happens between two passes of the hub
plain         ping, info, stats, help
sessions      connections and sessions: list, find, disconnect
whose         which node of a cluster is to be asked about a user
users         show, block, unblock, delete
draining      empty a node before it is stopped
members       who is of the cluster, and where each is operated
clusterstatus the cluster as a node knows it
cluster       members that come, go and change; moves of partitions
knobs         options, changed live
tracing       one user's frames, without what they carry
logs          how much is logged
glancing      a node in one small answer
backup        a copy of a node's data
tee           a share of the traffic, said again to a test node
profiling     where time goes, what tasks wait for, what memory holds
"""
