"""Analyse a torch module: its linear layers, its stages, its predictions."""
