"""Whole numbers, rounded up."""

__all__ = ["ceil_div", "ceil_log2"]


def ceil_div(a: int, b: int) -> int:
    """Return ``a / b``, rounded up."""
    return -(-a // b)


def ceil_log2(value: int) -> int:
    """Return the logarithm to base 2, rounded up."""
    return (value - 1).bit_length()
