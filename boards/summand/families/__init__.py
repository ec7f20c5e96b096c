"""Families of FPGAs: each is a room with all that is its own, behind one interface."""
