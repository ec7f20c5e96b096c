"""From a weight and its statistics to integers, one solver a module."""
