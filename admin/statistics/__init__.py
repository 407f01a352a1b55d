"""What a node says of itself, second by second: rates, queues, the system beneath it.

figures    what a figure is, and the table of them
catalogue  the figures of a node
series     what the sampler remembers
rates      decaying rates
queues     lengths, ages, when they will be empty
sampler    one sample after another, pure
machine    what the operating system says
garbage    collections of garbage
"""
