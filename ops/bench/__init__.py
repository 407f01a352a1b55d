"""Benchmarks: `waystation bench`.

What is measured          connections · exchange (messages, everybody online) · waiting (messages, recipients
                          absent) · mailbox (waiting, with a look into the files) · report (all of it, as a table)
What is measured with     comparison (node and peer, repeats, medians) · sampling · process · latency · screen
The servers               server ← node_process, ejabberd (ejabberd_configuration)
The load                  fleet → generator processes: engine, dialer, session ← phone, xmpp; plan and identities
                          are what both sides agree on; orders is the pipe between them, for storms as well
A part on its own         hub, store, cold, wire, links
Replicated tables         tables: tables_comparison → tables_measure → pairs of nodes: tables_waystation (its
                          processes: tables_node, tables_writers), mnesia (tables_mnesia.erl), both of them a
                          tables_pair ← tables_process; tables_plan is what all agree on; tables_costs, tables_report
A cluster                 cluster: sizes (a message, by the number of nodes), idle (sessions that say nothing),
                          failover, border (two clusters), on nodes of clusters under cluster_load; cluster_peer: the
                          same on ejabberd_cluster, and deaths: a node's end as phones of both see it
New code                  reloads, upgrades, upgrades_cluster; adopted (a process that took another's place)
A storm                   storm → storm_stage (nodes, and what happens to them), storm_fleet → processes of phones:
                          storm_crowd, storm_phone or storm_xmpp, both a storm_line; storm_plan is what both sides
                          agree on; storm_figures
A cluster's messages      events ← events_world, events_edges: only cores, counted (events_kinds) and not timed
Command line              command; places: where directories may be made
"""
