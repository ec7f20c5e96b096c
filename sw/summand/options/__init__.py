"""What a user may choose: the command line, the checks and the documentation follow from it.

Nothing here imports torch, so that the command line knows its options before a command runs.
"""
