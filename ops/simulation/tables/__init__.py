"""The world of replicated tables: the real store, replicas and failure detectors; clients that write through any node.

schema    the groups and tables
node      a node without sockets: store, replicas, detector, forwarding of writes
events    what nodes say of themselves, for checkers
claims    what stands on disks of claims and copies
drawing   what a seed decides: what clients do, and which knobs are turned
scenario  what is done, what is looked at, and when a world is at rest
"""
