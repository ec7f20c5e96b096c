"""The engine in Amaranth."""
