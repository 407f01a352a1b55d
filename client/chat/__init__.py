"""`waystation chat`: a conversation in a terminal, or line by line through pipes.

conversation  what is on show: lines and their marks. Pure
typing        what a typed line means. Pure
talker        the device behind it: registers, sends, receives, keeps the marks
plain         line by line, for pipes and scripts
screen        in a terminal, where marks change in place
"""
