"""Ethernet of boards: LiteEth's core, generated."""
