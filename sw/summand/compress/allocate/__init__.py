"""What each layer gets, under a budget."""
