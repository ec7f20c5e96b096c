"""Where an engine's beats come from, and where its packets go."""
