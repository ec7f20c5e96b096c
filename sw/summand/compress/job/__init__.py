"""A whole ``summand compress``: it drives the code in the other folders."""
