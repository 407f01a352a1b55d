"""Faults with real processes: a node and clients under load, what goes wrong with them, and the verdict.

The world           namespace (a network apart) → network (two, with a cable that can be cut) ·
                    proxy (TCP between nodes, for one connection or all) · disk (small, full and free again)
The good            worker (a process of clients that write histories) ← crowd (starts, kills and asks them) ·
                    recorder (what a client did, as history events) · pins (registration without a telephone)
The bad             raw (a phone without the library) ← hostile (garbage, floods, sloth: a process)
What happens        plan (faults by seed) → drill (one run: load, faults, drain, verdict) · stage (the node of a run)
Several nodes       town (their lives, cut and healed) ← rosters (what they know at first), whole (what is missing) ·
                    siege (one run) ← trial (a plan, and what came of it) ← cluster, clusters (the plans) ·
                    release (a later one, made of this)
Times               waits (of senders, by histories) · standing (what members counted) · lateness, starvation (what
                    the machine took) ← looking (again and again) · judging
Command line        `ops.soak`

Whether a promise to phones held `ops.history` judges, from what was written down; only times are judged here.
"""
