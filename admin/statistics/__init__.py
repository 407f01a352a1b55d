"""What a node says of itself, second by second: rates, queues, alarms, an hour and a week of it.

figures     what a figure is, and the table of them
catalogue   the figures of a node
replicas    how copies on other nodes keep up
routing     what is counted between edge and primary
series      what the sampler remembers
rates       decaying rates
queues      lengths, ages, when they will be empty
sampler     one sample after another, pure
machine     what the operating system says
garbage     collections of garbage
layout      the bytes of the history's file
minutes     sixty records of a second become one of a minute
history     the file: written beside the node, read by anybody
alarms      thresholds, and what stands above them; pure
glance      what somebody wants to see first
columns     what `waystation wsar` shows of a record
plot        a figure over time as lines of text
telling     alarms on their way to a webhook
exposition  a sample as Prometheus reads it
scrapes     the listener that gives it
service     one task that samples, keeps and tells
settings    [statistics]
"""
