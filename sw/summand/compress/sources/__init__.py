"""Where a model comes from: a name, a folder, a file."""
