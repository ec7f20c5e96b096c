"""The link: an engine's streams and registers over a serial line, without loss."""
