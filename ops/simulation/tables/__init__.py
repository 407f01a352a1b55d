"""The world of replicated tables: the real store, replicas and failure detectors; clients that write through any node.

schema    the groups and tables
node      a node without sockets: store, replicas, detector, forwarding of writes
events    what nodes say of themselves, for checkers
claims    what stands on disks of claims and copies
scenario  what clients do, what knobs a seed turns, and when a world is at rest
"""
