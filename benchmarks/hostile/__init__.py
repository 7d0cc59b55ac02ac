"""Hostile use of the command line, repeated by a script: kills, file-system events, odd words, archives, pipes.

Each module but these has one campaign: a function `campaign(settings) -> Report`. Linux only: the campaigns fork.

calls.py     one command line in a forked child, with its streams, limits and signals
stores.py    the tiny runs that the campaigns work on, and what two folders differ in
findings.py  what was found wrong, the figures, and how they are printed and stored
lanes.py     several cases at a time
"""
