"""Ports to memories outside the FPGA."""
