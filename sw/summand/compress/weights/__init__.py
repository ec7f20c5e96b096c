"""A source's weights: their files, and their way into memory."""
