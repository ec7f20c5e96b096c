"""Measure a model, and check that its source was read correctly."""
