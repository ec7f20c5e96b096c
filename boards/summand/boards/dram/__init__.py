"""A board's DRAM: LiteDRAM's controller, and how a host initialises it."""
