"""Links between nodes: messages over ZeroMQ, encrypted, bounded, on Trio. Knows nothing of what messages mean.

    links       what everybody uses: `Links.run`, `open`, `close`, `send`, `flush`, `statistics`
    receiver    what whoever uses it implements: `received`, `connected`, `disconnected`, `passed`
    members     who the nodes are: id, public key, address       settings    all limits       errors
    keys        the key pair of a node                           address     host:port, [IPv6]:port, ipc:///path

Inside, from the wire upwards:

    adapter     a ZeroMQ socket that Trio tasks can wait for     sockets     its options, and why
    lookout     one wake-up for all sockets of a node            binding     where peers connect
    zap         who may connect                                  words       what goes over a link, as bytes
    outbox      what waits for a link, packed into batches       boundedlog  what strangers can make us log
    link        the state of a link ← outgoing (connects, greets, sends) · incoming (reads, answers)
    peers       peers that come, go, rest                        offers      what they have open, and where
    knocking    whether anybody listens where a peer did

Every pair of nodes has a control link, and one link for each group (`store.schema.Group`) that both have open; each
direction of each link is a connection of its own: a DEALER at the sender, a ROUTER at the receiver, which the
sender's node has found out about by the control link. To use it:

    keys = ensure_keys(data_directory)              # keys.public is what the other nodes' configuration needs
    members = [Member(node, key, Address.parse("10.0.0.1:7710")), …]     # every node, this one too
    links = Links(own_node, keys, members, receiver)
    async with trio.open_nursery() as nursery:
        await nursery.start(links.run)
        links.open("mail")
        …
        links.send(peer, "mail", [CODE, 1, b"bytes", None])      # False: not connected, or its queue is full
        links.send(peer, None, [CODE])                           # over the control link

What a link promises: what arrives is what was sent, once, in the order sent, from a node that has proved its key, on
the link it was sent on. Not that it arrives: when a connection ends, what was on its way is lost, and `disconnected`
and `connected` tell. Between links there is no order.

`connected(peer, group)` says that this node can send to that one; the other direction has its own. A peer that is
gone without a word (cut cable, SIGSTOP) is disconnected after `silence_ms_max`; who needs to know earlier asks it over
the control link. One whose process has ended is disconnected at once, and told of (`refused`) as soon as nobody listens
where it did.
"""
