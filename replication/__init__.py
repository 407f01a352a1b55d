"""Who is responsible for which users: identity of a cluster, partitions, claims. Knows no phones.

    tables      the group `cluster`: what a node knows of its cluster
    identity    the cluster's secret and the node's own id, made once
    placement   user → partition
    claim       (epoch, primary, heir) of a partition; durable before use

On a single node every partition is claimed by that node, without an heir, with a higher epoch at every start.
"""
