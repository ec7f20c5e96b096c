"""How a model is compressed: what the user chooses, and what of it each layer gets.

Nothing here imports torch, so that the command line knows its options before a command runs.
"""
