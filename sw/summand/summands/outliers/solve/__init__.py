"""How outliers are found."""
