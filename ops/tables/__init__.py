"""Replicated tables as real processes under faults: members, load, what was promised, and the verdict.

A member            member (a process that takes orders) ← assignment (what it is told at its start) ·
                    schema (the tables) · orders (what it can be asked) · watching (what it tells of its copies)
From outside        handle (one life of one process) · cables (the network between them) · fleet (all members)
What is promised    record (attempts and answers) ← load (who writes) · quiet (when to look) →
                    verdict (what is there) → judge (what must be there)
What happens        plan (faults by seed) → drill (one run) · filling (a copy of many records)
Command line        command
"""
