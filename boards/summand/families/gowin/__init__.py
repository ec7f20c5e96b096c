"""Gowin GW1N, GW2A and GW5A."""
