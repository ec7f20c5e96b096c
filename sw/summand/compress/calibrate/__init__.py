"""Text, and what it feeds each layer with."""
