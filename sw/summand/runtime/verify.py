"""Compares a device with the golden model, and both with the layers' definition in NumPy."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig, SummandError, limits
from summand.model import Layer
from summand.runtime.compiler import compile_layers
from summand.runtime.device import GoldenDevice
from summand.runtime.driver import Driver
from summand.runtime.usage import Usage
from summand.stimulus import layers as stimulus
from summand.stimulus.values import signed_values
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank

__all__ = ["Comparison", "Shape", "compare", "random_layer", "random_tokens"]

#: Weights that a random layer may have: 1 GiB of them as bytes.
_MAX_WEIGHTS = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a random layer and its input.

    Parameters
    ----------
    tokens, in_features, out_features : int
        M, K and N.
    bits : int
        Of the dense summand, 1 to 8.
    half_step : bool
        Whether its weights are half-step.
    rank : int
        Of the low-rank summand; 0 leaves it out.
    rank_bits : int
        Of both its factors, 1 to 8.
    """

    tokens: int
    in_features: int
    out_features: int
    bits: int
    half_step: bool = False
    rank: int = 0
    rank_bits: int = 4

    def __post_init__(self):
        for name, low, high in (
            ("tokens", 1, 1 << 16),
            ("in_features", 1, 1 << 20),
            ("out_features", 1, 1 << 20),
            ("bits", *limits.PLANES),
            ("rank", 0, 1 << 16),
            ("rank_bits", *limits.PLANES),
        ):
            if not low <= getattr(self, name) <= high:
                raise SummandError(f"{name} must be {low} to {high}, not {getattr(self, name)}")
        k, n = self.in_features, self.out_features
        if max(k * n, self.rank * max(k, n), self.tokens * max(k, n)) > _MAX_WEIGHTS:
            raise SummandError(
                f"a random layer may have {_MAX_WEIGHTS} weights, inputs and outputs at most; "
                f"make the shape smaller"
            )


@dataclass(frozen=True)
class Comparison:
    """The result of one group of layers.

    Parameters
    ----------
    name : str
        The group's.
    wrong : tuple of str
        Descriptions of the differences; empty if everything is equal.
    usage : Usage
        The device's.
    seconds : float
        Spent by the device.
    """

    name: str
    wrong: tuple[str, ...]
    usage: Usage
    seconds: float

    @property
    def exact(self) -> bool:
        """Whether device, golden model and NumPy agree in every accumulator."""
        return not self.wrong


def compare(layers: Sequence[Layer], driver: Driver, tokens: npt.NDArray[np.integer]) -> Comparison:
    """Run a group of layers on a device, on the golden model and in NumPy.

    Parameters
    ----------
    layers : sequence of Layer
        Sharing an input.
    driver : Driver
        Of the device to be checked.
    tokens : integer array, shape ``[M, K]``
        Within ``act_bits``, two's complement.
    """
    program = compile_layers(layers, driver.config)
    start = time.perf_counter()
    result = driver.run(program, tokens)
    seconds = time.perf_counter() - start
    with Driver(GoldenDevice(driver.config)) as reference:
        model = reference.run(program, tokens)
    wrong = []
    for layer, got, expected in zip(layers, result.outputs, model.outputs, strict=True):
        wrong += _difference(layer.name, "the golden model", got, expected)
        wrong += _difference(layer.name, "the layer's meaning", got, layer.accumulate(tokens))
    return Comparison(program.name, tuple(wrong), result.usage, seconds)


def _difference(
    name: str, of: str, got: npt.NDArray[np.integer], expected: npt.NDArray[np.integer]
) -> list[str]:
    unequal = np.argwhere(got != expected)
    if not len(unequal):
        return []
    m, n = unequal[0]
    text = (
        f"{name}: {len(unequal)} of {got.size} accumulators differ from {of}; the first is token "
        f"{m}, output {n}: {got[m, n]} instead of {expected[m, n]}"
    )
    return [text]


def random_tokens(
    rng: np.random.Generator, config: EngineConfig, tokens: int, k: int
) -> npt.NDArray[np.integer]:
    """Return ``[tokens, k]`` activations of all magnitudes, extremes included."""
    return signed_values(rng, config.act_bits, tokens * k).reshape(tokens, k)


def random_layer(
    rng: np.random.Generator, config: EngineConfig, shape: Shape
) -> tuple[Layer, npt.NDArray[np.integer]]:
    """Return a layer with weights of the whole range for ``config``'s engine, and its tokens."""
    data = stimulus.random_layer(
        rng,
        config,
        m=shape.tokens,
        k=shape.in_features,
        n=shape.out_features,
        bits=shape.bits,
        rank=shape.rank,
        rank_bits=shape.rank_bits,
    )
    summands: list[Summand] = [Dense(data.dense, shape.bits, half_step=shape.half_step)]
    if shape.rank:
        low_rank = LowRank(
            a=data.a,
            a_bits=shape.rank_bits,
            b=data.b,
            b_bits=shape.rank_bits,
            mult=data.mult.astype(np.uint16),
            shift=data.shift.astype(np.uint8),
            acc_shift=config.shift,
        )
        summands.append(low_rank)
    layer = Layer(
        name="random",
        in_features=shape.in_features,
        out_features=shape.out_features,
        act_bits=config.act_bits,
        summands=tuple(summands),
        scale=np.ones(shape.out_features, np.float32),
    )
    return layer, data.x
