"""Options of a compression, and the choice for each layer that follows from them.

Nothing here imports torch, so that the command line knows its options before a command runs.
"""
