"""A whole ``summand compress``: it drives all that the other folders hold."""
