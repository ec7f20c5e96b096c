"""How good a model is, and who else has read its source."""
