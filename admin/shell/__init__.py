"""The person's side: one command, or a shell of them.

plain         results as JSON, and text that moves no cursor
rendering     results as text: tables that fit the terminal
lines         what a line of the shell means
keeping       `--output`: a result in a file of the asker's
completion    what may come next on it
history       the lines of former shells
nodes         whom it talks to
crowd         one command for several nodes at one time
together      what several nodes answered, as one text
elsewhere     the history of a node on another machine
rollout       new code through many nodes, one after the other
screen        a terminal that is drawn on, and its keys
topstate      what the live view knows, and how keys change it
topview       the live view as rows
top           the live view: asks, draws
shell         the loop
"""
