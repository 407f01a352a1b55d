"""`waystation doctor`: what could be wrong with a node, and what to do about it. Changes nothing.

finding        what a check found
patient        the node that is looked at: its configuration, its directory, whether it runs
examination    all checks, one after the other
configuration  the file, and whether what it names can be used
certificates   expiry, names, key
keys           who may operate the node; files that others can read
limits         what the system allows
clock          synchronised or not; against other nodes
disk           file system, space, how long an fsync takes, days left
stored         the tables: do they open, are they sound
peers          the other members of a cluster
living         what a running node says of itself
command        the words, the output, the exit status
"""
