"""Boards as data, their gateware, and the link between board and host."""
