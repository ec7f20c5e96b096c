"""Stimulus for engines: random programs, commands that engines refuse, random data."""
