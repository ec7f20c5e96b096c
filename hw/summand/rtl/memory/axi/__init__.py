"""A memory behind AXI4."""
