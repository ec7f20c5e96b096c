"""Weights in a memory beside the engine: where they lie, how they get there and are played."""
