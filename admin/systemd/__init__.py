"""A node under systemd: what it says to it, what it is handed by it, and how it proves that its loop goes on.

- `notify`: the protocol of sd_notify(3), over a datagram socket.
- `inherited`: listening sockets that came with the start, from a socket unit or from the descriptor store.
- `supervision`: puts both to use for one node, and feeds the watchdog from the hub's passes.

The units are in `ops/systemd/`. Nothing here needs systemd: without its variables in the environment all of it rests.
"""
