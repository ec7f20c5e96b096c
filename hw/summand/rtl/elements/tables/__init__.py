"""Multiplication by look-up: tables of subset sums of activations, addressed by bits of weights."""
