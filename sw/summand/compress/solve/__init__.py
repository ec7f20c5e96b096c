"""From a weight and its statistics to the summands of a layer."""
