"""The player: makes an engine's stream of items and a memory outside the FPGA."""
