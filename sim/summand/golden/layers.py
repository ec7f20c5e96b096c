"""The program of one compressed layer of random data, cut to fit any engine."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from summand.golden.arithmetic import exact_product
from summand.golden.builder import Program, ProgramBuilder
from summand.golden.stimulus import signed_values
from summand.isa import ConfigError, EngineConfig
from summand.isa.ops import Segment
from summand.isa.planes import pack_planes, padded_shape

__all__ = ["RandomLayer", "layer_program", "random_layer"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RandomLayer:
    """Data of ``Y = X W``, with ``((X W) << shift) + requantised(X A) B`` where there is a rank.

    Parameters
    ----------
    x : int16 array, shape ``[M, K]``
        Activations.
    dense : int8 array, shape ``[K, N]``
        ``W``, of ``bits`` bits.
    a, b : int8 arrays, shapes ``[K, R]`` and ``[R, N]``
        The low-rank factors, of ``rank_bits`` bits; R may be 0.
    mult, shift : int64 arrays, shape ``[R]``
        Requantisation of ``X A``.
    """

    x: npt.NDArray[np.int16]
    dense: npt.NDArray[np.int8]
    bits: int
    a: npt.NDArray[np.int8]
    b: npt.NDArray[np.int8]
    rank_bits: int
    mult: npt.NDArray[np.int64]
    shift: npt.NDArray[np.int64]

    @property
    def rank(self) -> int:
        """Columns of ``a``."""
        return self.a.shape[1]

    @property
    def macs(self) -> int:
        """Multiplications of all tokens, without padding."""
        (m, k), n = self.x.shape, self.dense.shape[1]
        return m * (k * n + self.rank * (k + n))


def random_layer(
    rng: np.random.Generator,
    config: EngineConfig,
    *,
    m: int,
    k: int,
    n: int,
    bits: int,
    rank: int = 0,
    rank_bits: int = 4,
) -> RandomLayer:
    """Return a layer of ``m`` tokens, ``k`` inputs and ``n`` outputs for ``config``'s engine.

    The requantisation fits ``X A``, so that its result fills the range of an activation.
    """
    for name, value, low in (("m", m, 1), ("k", k, 1), ("n", n, 1), ("rank", rank, 0)):
        if value < low:
            raise ConfigError(f"{name} must be at least {low}, not {value}")
    for name, value in (("bits", bits), ("rank_bits", rank_bits)):
        if not 1 <= value <= 8:
            raise ConfigError(f"{name} must be 1 to 8, not {value}")
    x = signed_values(rng, config.act_bits, m * k).reshape(m, k).astype(np.int16)
    a = _weights(rng, rank_bits, (k, rank))
    mult = rng.integers(1 << 15, 1 << 16, rank)
    inner = exact_product(x, a.astype(np.float32), act_bits=config.act_bits, bits=rank_bits)
    peak = np.abs(inner).max(axis=0) * mult
    shift = np.ceil(np.log2(np.maximum(peak, 1))).astype(np.int64) + 1 - config.act_bits
    return RandomLayer(
        x=x,
        dense=_weights(rng, bits, (k, n)),
        bits=bits,
        a=a,
        b=_weights(rng, rank_bits, (rank, n)),
        rank_bits=rank_bits,
        mult=mult,
        shift=np.clip(shift, 1, 47),
    )


def _weights(rng: np.random.Generator, bits: int, shape: tuple[int, int]) -> npt.NDArray[np.int8]:
    top = 1 << (bits - 1)
    return rng.integers(-top, top, shape, np.int8)


def layer_program(config: EngineConfig, layer: RandomLayer) -> Program:
    """Return the program that computes ``layer``: a STORE for each block of outputs, and a FENCE.

    Tokens are cut to the engine's rows, outputs to its accumulators (the low-rank intermediate
    keeps a place among them) and inputs to its activation memory. DATA packets come with the
    blocks of tokens outside and those of outputs inside; their tags count them. The low-rank
    segment shifts the accumulators if the engine can.

    Raises
    ------
    ConfigError
        If the low-rank intermediate leaves no room in the engine's memories.
    """
    return _LayerCompiler(config, layer).build()


class _LayerCompiler:
    def __init__(self, config: EngineConfig, layer: RandomLayer):
        self._config = cfg = config
        self._layer = layer
        self._builder = ProgramBuilder(config)
        (m, k), n = layer.x.shape, layer.dense.shape[1]
        self._slices, self._tiles = padded_shape(k, n, cfg)
        self._t_slices, self._a_tiles = padded_shape(layer.rank, layer.rank, cfg)
        self._slice_block = min(self._slices, cfg.act_depth - self._t_slices)
        self._tile_block = min(self._tiles, cfg.acc_depth - self._a_tiles)
        self._requant_block = _requantise_block(cfg, self._a_tiles * cfg.cols)
        if min(self._slice_block, self._tile_block, self._requant_block) < 1:
            raise ConfigError(
                f"rank {layer.rank} leaves this engine no room; it must take fewer than "
                f"{cfg.act_depth} slices of {cfg.depth} and {cfg.acc_depth} tiles of {cfg.cols}, "
                f"and one REQUANTISE ({cfg.requant_depth} features) must hold it or a whole slice: "
                f"lower the rank, or raise act_depth, acc_depth or requant_depth"
            )
        self._x = np.zeros((m, self._slices * cfg.depth), np.int16)
        self._x[:, :k] = layer.x

    def build(self) -> Program:
        """Return the program."""
        cfg, layer = self._config, self._layer
        dense = pack_planes(layer.dense, layer.bits, cfg)
        a = pack_planes(layer.a, layer.rank_bits, cfg)
        b = pack_planes(layer.b, layer.rank_bits, cfg)
        tag = 0
        for row in range(0, len(self._x), cfg.rows):
            x = self._x[row : row + cfg.rows]
            for tile in range(0, self._tiles, self._tile_block):
                tiles = slice(tile, min(tile + self._tile_block, self._tiles))
                with_a = bool(layer.rank) and tile == 0
                self._walk(x, dense[:, tiles], a if with_a else None, loaded=tile > 0)
                count = tiles.stop - tiles.start
                if with_a:
                    self._requantise(count, len(x))
                if layer.rank:
                    low_rank = Segment(
                        tile=0, tiles=count, planes=layer.rank_bits, shift=cfg.shift > 0
                    )
                    words = b[:, tiles].tobytes()
                    self._builder.gemm(self._slice_block, self._t_slices, [low_rank], words)
                self._builder.store(0, count, len(x), tag & 0xFFFF)
                tag += 1
        self._builder.fence()
        return self._builder.finish()

    def _walk(
        self,
        x: npt.NDArray[np.int16],
        dense: npt.NDArray[np.uint8],
        a: npt.NDArray[np.uint8] | None,
        *,
        loaded: bool,
    ) -> None:
        """Add the product of ``x`` with plane words ``[slices, tiles, planes, bytes]``."""
        cfg, layer = self._config, self._layer
        whole = self._slice_block == self._slices
        for first in range(0, self._slices, self._slice_block):
            stop = min(first + self._slice_block, self._slices)
            if not (whole and loaded):
                self._builder.load(0, x[:, first * cfg.depth : stop * cfg.depth])
            clear = first == 0
            count = dense.shape[1]
            segments = [Segment(tile=0, tiles=count, planes=layer.bits, clear=clear)]
            words = dense[first:stop].reshape(stop - first, -1)
            if a is not None:
                segments.append(
                    Segment(tile=count, tiles=self._a_tiles, planes=layer.rank_bits, clear=clear)
                )
                words = np.hstack([words, a[first:stop].reshape(stop - first, -1)])
            self._builder.gemm(0, stop - first, segments, words.tobytes())

    def _requantise(self, tile: int, rows: int) -> None:
        """Requantise the low-rank intermediate, at ``tile`` on, to the slices after the input's."""
        cfg, layer = self._config, self._layer
        features = self._a_tiles * cfg.cols
        mult, shift = np.zeros(features, np.int64), np.ones(features, np.int64)
        mult[: layer.rank], shift[: layer.rank] = layer.mult, layer.shift
        for first in range(0, features, self._requant_block):
            part = slice(first, first + self._requant_block)
            self._builder.requantise(
                tile + first // cfg.cols,
                rows,
                self._slice_block + first // cfg.depth,
                mult[part],
                shift[part],
            )


def _requantise_block(config: EngineConfig, features: int) -> int:
    """Return the features of one REQUANTISE: all, or whole slices, whose results then adjoin."""
    if features <= config.requant_depth:
        return max(features, 1)
    return config.requant_depth // max(config.depth, config.cols) * config.depth
