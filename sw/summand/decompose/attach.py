"""Lets a loaded model read prompts by way of pseudo-tokens."""

from summand.decompose.decomposer import Decomposer
from summand.runtime import Driver
from summand.runtime.load import LoadedModel
from summand.schedule.errors import CompileError

__all__ = ["attach_decompositions"]


def attach_decompositions(loaded: LoadedModel, driver: Driver) -> int:
    """Have the model's prompts computed with its decompositions; returns for how many groups.

    Parameters
    ----------
    loaded : LoadedModel
        The model.
    driver : Driver
        That which it was loaded with.

    Raises
    ------
    ModelError
        If the model was compressed without decompositions, or they are damaged.
    CompileError
        If the engine cannot compute them.
    """
    found = {each.layers: each for each in loaded.source.decompositions()}
    for group in loaded.groups:
        names = tuple(layer.name for layer in group.layers)
        if (mine := found.get(names)) is not None:
            if group.ranks:
                raise CompileError(
                    f"the input of {', '.join(names)} cannot be decomposed on an engine with "
                    f"bins (bin_tiles {driver.config.bin_tiles}), which computes the head's "
                    f"outputs in another order; take an engine without"
                )
            group.prompts = Decomposer(driver, group.layers, group.program, mine)
    return len(found)
