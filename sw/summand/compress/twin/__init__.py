"""Torch modules that compute what an engine computes, exactly or with gradients."""
