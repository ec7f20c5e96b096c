"""Options declared once: the command line, the checks and the documentation follow from them."""
