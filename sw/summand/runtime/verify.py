"""Compares a device with the golden model, and both with the layers' definition in NumPy."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig, SummandError, limits
from summand.isa.patterns import SparsePattern
from summand.model import ChannelGroups, Layer, Transform
from summand.runtime.compiler import compile_layers
from summand.runtime.device import GoldenDevice
from summand.runtime.driver import Driver
from summand.runtime.usage import Usage
from summand.stimulus import layers as stimulus
from summand.stimulus.values import signed_values
from summand.summands.base import Summand
from summand.summands.dense import Dense
from summand.summands.lowrank import LowRank
from summand.summands.outliers import Outliers
from summand.summands.patterns import check_blocks

__all__ = ["Comparison", "Shape", "compare", "differences", "random_layer", "random_tokens"]

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
    sparsity : SparsePattern, optional
        Its pattern; without it, all weights are kept.
    outliers : SparsePattern, optional
        Of outliers of 8 bits beside it.
    act_groups : int
        Groups of the input's channels, as alike in size as the engine's slices allow; 0 for none.
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
    sparsity: SparsePattern | None = None
    outliers: SparsePattern | None = None
    act_groups: int = 0
    rank: int = 0
    rank_bits: int = 4

    def __post_init__(self):
        for name, low, high in (
            ("tokens", 1, 1 << 16),
            ("in_features", 1, 1 << 20),
            ("out_features", 1, 1 << 20),
            ("bits", *limits.PLANES),
            ("act_groups", 0, 16),
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
        check_blocks("sparsity", self.sparsity, k)
        check_blocks("outliers", self.outliers, k)


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
    program = compile_layers(layers, driver.config, held=driver.holds)
    if driver.holds:
        driver.hold([program])
    start = time.perf_counter()
    result = driver.run(program, tokens)
    seconds = time.perf_counter() - start
    with Driver(GoldenDevice(driver.config)) as reference:
        model = reference.run(program, tokens)
    wrong = []
    for layer, got, expected in zip(layers, result.outputs, model.outputs, strict=True):
        wrong += differences(layer.name, "the golden model", got, expected)
        wrong += differences(layer.name, "the layer's meaning", got, layer.accumulate(tokens))
    return Comparison(program.name, tuple(wrong), result.usage, seconds)


def differences(
    name: str, of: str, got: npt.NDArray[np.number], expected: npt.NDArray[np.number]
) -> list[str]:
    """Return a text that tells where a layer's outputs ``[M, N]`` differ, if they do."""
    unequal = np.argwhere(got != expected)
    if not len(unequal):
        return []
    m, n = unequal[0]
    text = (
        f"{name}: {len(unequal)} of {got.size} outputs differ from {of}; the first is token "
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
    weights = data.dense if shape.sparsity is None else _thinned(rng, data.dense, shape.sparsity)
    summands: list[Summand] = [
        Dense(weights, shape.bits, half_step=shape.half_step, pattern=shape.sparsity)
    ]
    if shape.outliers is not None:
        wide = signed_values(rng, 8, weights.size).reshape(weights.shape).astype(np.int8)
        summands.append(Outliers(_thinned(rng, wide, shape.outliers), 8, shape.outliers))
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
        transform=_grouped(rng, config, shape),
    )
    return layer, data.x


def _thinned(
    rng: np.random.Generator, matrix: npt.NDArray[np.int8], pattern: SparsePattern
) -> npt.NDArray[np.int8]:
    """Return a matrix ``[K, N]`` of which random weights are kept in each block."""
    k, n = matrix.shape
    blocks = matrix.reshape(k // pattern.block, pattern.block, n)
    order = rng.random(blocks.shape).argsort(axis=1)
    return (blocks * (order < pattern.kept)).astype(np.int8).reshape(k, n)


def _grouped(rng: np.random.Generator, config: EngineConfig, shape: Shape) -> Transform | None:
    """Return channels in random order and as many groups as asked, each of whole slices."""
    if not shape.act_groups:
        return None
    k = shape.in_features
    slices = -(-k // config.depth)
    if not 2 <= shape.act_groups <= slices:
        raise SummandError(
            f"act_groups must be 2 to {slices}, the slices of {config.depth} that {k} inputs "
            f"have, or 0 for none, not {shape.act_groups}"
        )
    firsts = [slices * g // shape.act_groups for g in range(1, shape.act_groups)]
    borders = tuple((first * config.depth, 1) for first in firsts)
    order = rng.permutation(k).astype(np.int32)
    return Transform(k, groups=ChannelGroups(order, borders))
