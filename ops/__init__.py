"""Putting the parts together: the `waystation` command and everything that looks at a node from outside.

command     the command itself: which words call what
run         `waystation run`: one node in the foreground
chat        `waystation chat`: a phone in a terminal
wsar        `waystation wsar`: what nodes did, from their histories or live
shadowing   a node that is said what live nodes tee, and reaches nobody
beside      what runs beside a node, made for one after the other
upgrading   with what a node begins: nothing, or what another process hands over
sampling    statistics beside the node: file, sockets and receivers
accounts    `waystation accounts`: accounts in bulk, into a stopped node
storage     `waystation store`: a look at the tables, backup, restore, dump, load
copies      data directories as a whole: copied out, brought back, filled from a dump
doctor      `waystation doctor`: what could be wrong with a node, and what to do
soak        `waystation soak`: load and faults for as long as asked, and the verdict
config      the configuration file, as settings of the parts
systemd     a node as a service: units, and what puts them in place
logs        how events become lines on standard error
failures    named errors, told without a traceback
bench       measuring a node, and a peer in the same run
history     what a test run wrote down, and the checker that judges it
faults      what can go wrong, done to real processes
simulation  several nodes in one process, on a virtual network, disk and clock
tables      replicated tables as real processes: under faults, and filling
powerloss   what the disk would hold had the power failed
"""
