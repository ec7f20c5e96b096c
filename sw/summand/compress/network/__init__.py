"""What is known of a torch module: its linear layers, its stages, its predictions."""
