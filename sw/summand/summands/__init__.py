"""Summands: the terms of a layer, a room for each kind.

A room holds all that its kind is: its meaning, its form on disk, its streamed operands, its twin in
torch, its options, and the way to find it. :mod:`registry` lists the kinds; :mod:`kind` says what
one is made of.
"""
