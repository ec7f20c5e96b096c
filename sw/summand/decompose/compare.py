"""A prompt on a device, beside the golden model and its meaning in integers."""

import time
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from summand.decompose.decomposer import Decomposer
from summand.model import Layer
from summand.model.decomposed import decomposed
from summand.model.decomposition import Decomposition
from summand.runtime import Driver, GoldenDevice, compile_layers
from summand.runtime.verify import Comparison, differences

__all__ = ["compare_prompt", "random_prompt"]


def compare_prompt(
    layers: Sequence[Layer], of: Decomposition, driver: Driver, x: npt.NDArray[np.float32]
) -> Comparison:
    """Compute layers for a prompt on a device, on the golden model and in NumPy.

    Parameters
    ----------
    layers : sequence of Layer
        Sharing an input.
    of : Decomposition
        Of that input.
    driver : Driver
        Of the device to be checked.
    x : float32 array, shape ``[M, K]``
        The prompt.
    """
    program = compile_layers(layers, driver.config)
    before, start = driver.total, time.perf_counter()
    found = Decomposer(driver, layers, program, of).rows(x)
    seconds = time.perf_counter() - start
    with Driver(GoldenDevice(driver.config)) as reference:
        model = Decomposer(reference, layers, program, of).rows(x)
    wrong = []
    for layer, got, golden, meant in zip(
        layers, found, model, decomposed(layers, of, x), strict=True
    ):
        wrong += differences(layer.name, "the golden model", got, golden)
        wrong += differences(layer.name, "the prompt's meaning", got, meant)
    return Comparison(program.name, tuple(wrong), driver.total.since(before), seconds)


def random_prompt(rng: np.random.Generator, tokens: int, k: int) -> npt.NDArray[np.float32]:
    """Return random tokens ``[tokens, k]`` whose spectrum falls by half every sixteen ranks."""
    rank = min(tokens, k)
    left, right = rng.standard_normal((tokens, rank)), rng.standard_normal((rank, k))
    return (left * 2.0 ** -(np.arange(rank) / 16) @ right).astype(np.float32)
