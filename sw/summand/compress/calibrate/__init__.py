"""The calibration text, and statistics of the inputs that each layer sees on it."""
