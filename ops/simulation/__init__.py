"""Several nodes in one process, with the real store and the real cores, on a virtual network, disk and clock.

A run is a list of steps that a seed has drawn, so it can be run again exactly, and made short when it breaks a promise.

disk          a data directory in memory, in place of LMDB and files: crashes, images, faults, a trace of commits
transactions  its transactions and cursors, as py-lmdb's
maps          one ordered map of it
network       links between nodes: late, lost, doubled, overtaken, cut
clock         virtual time, and what each node believes the time to be
machine       where a node runs: lives, pauses, ticks, the pace of its disk
world         machines and links, to which steps are done; then peace, rest and verdicts
plan          a run as a value: steps; written down and read
faults        which faults come when: the part of a plan that all worlds share
replicas      how replicas are set in all worlds
trace         what is seen from outside, who looks at it, and a digest of it
writes        what clients do and are told, as events
records       what stands on a virtual disk
checkers      the promises, a module each
scenarios     which worlds there are
tables        the world of replicated tables
mail          the world of mail, each pair in one partition
cluster       the world of a cluster: phones at any node, routing, mail over all partitions
shrinking     the shortest history that breaks the same rule
running       many seeds, in one process or several
command       `waystation simulate`
"""
