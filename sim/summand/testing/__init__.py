"""Drives components on the simulator of Amaranth, for the tests of the gateware."""
