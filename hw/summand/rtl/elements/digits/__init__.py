"""Multiplication in DSP blocks: digits of two columns' weights times one activation."""
