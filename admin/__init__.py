"""Operating a live node: what is asked, by whom, and how it gets there.

commands      the one table of commands, and what each does
channel       the encrypted socket: keys, roles, limits, audit
knobs         options of the configuration that can be changed live
shell         the person's side
statistics    figures of every part, sampled, kept, watched
reload        replacing the code of a running node
backup        a copy of a node's data while it serves
tee           a share of the traffic, said again to a test node
profiling     where a node's time goes, what its tasks wait for, what its memory holds
systemd       what a node and systemd say to each other
upgrade       replacing the process of a running node
descriptor    an open file that an object owns
"""
