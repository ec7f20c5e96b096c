"""Synthesis: the open-source flow, its stored runs, and the model fitted to them."""
