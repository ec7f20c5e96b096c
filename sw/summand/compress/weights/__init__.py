"""Find the files of a source's weights, and load them."""
