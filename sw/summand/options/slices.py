"""Options that count input features in whole slices of an engine."""

from summand.options.declaration import OptionError

__all__ = ["LEAST_SLICE", "check_slices"]

#: Input features of the narrowest engine's slices.
LEAST_SLICE = 8


def check_slices(name: str, features: int) -> None:
    """Raise :class:`OptionError` unless the option is a number of the narrowest slices."""
    over = features % LEAST_SLICE
    if over:
        raise OptionError(
            f"{name} must be a multiple of {LEAST_SLICE}, as every engine's depth is, not "
            f"{features}: {features - over + LEAST_SLICE} would do"
        )
