"""A running node starts its successor and hands it everything: code that can't be hot-loaded, for a pause.

    passing       messages and descriptors between the two processes
    successor     the new process, as the old one sees it
    predecessor   the old process, as the new one sees it
    service       the order of it, and what comes of it if something fails

What is handed over, and how it is taken out of a node and put into one, is `node/handing`.
"""
