"""The person's side: one command, or a shell of them.

rendering     results as text: tables that fit the terminal, or JSON
"""
