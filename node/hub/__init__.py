"""Connections as plain slotted objects in one epoll set behind one Trio task. Knows no protocol and no mail.

hub.py          the passes, and what the composition root calls
handler.py      what the hub asks of the layer above
connection.py   one connection
settings.py     every limit
reading.py      a batch of events in           writing.py     what a pass queued, out
listener.py     accepting, refusing politely   admission.py   who may connect
handshake.py    TLS, a few steps a pass        tls.py         context and socket class
certificate.py  a self-signed certificate      closing.py     how connections end
wheel.py        when to look at whom           bucket.py      how often something may happen
pollset.py      epoll, and who has which fd    watch.py       descriptors of other parts
counters.py     statistics                     failures.py    logging what a handler raises
memory.py       descriptors, giving it back    errors.py      the hub's own errors
invariants.py   what must hold between turns   handing.py     connections that leave for another hub
between.py      waiting for what a pass calls  adjusting.py   limits, while it serves
looking.py      those whose time has come      stopping.py    newcomers refused, byes, cut off
walking.py      all of them, in slices
"""
