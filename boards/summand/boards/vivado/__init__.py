"""The engine as an IP block of Vivado."""
