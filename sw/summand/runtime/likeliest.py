"""Layers of which often no more than the greatest output counts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from summand.model import Layer
from summand.runtime.compiler import compile_layers
from summand.runtime.driver import Driver
from summand.runtime.packing import OutputOrder, Packing
from summand.runtime.program import Program
from summand.schedule.extremes import SignedTiles

__all__ = ["RankedLayers", "fetching_few"]

_Outputs = tuple[npt.NDArray[np.float32], ...]


def fetching_few(program: Program, layers: Sequence[Layer]) -> Program:
    """Return a program that fetches no more than shows each layer's greatest output.

    Parameters
    ----------
    program : Program
        Of an engine with bins; computes the layers' outputs by ascending scales.
    layers : sequence of Layer
        The layers.
    """
    signs = tuple(SignedTiles.of(layer.scale, program.config) for layer in layers)
    return replace(program, signs=signs)


class RankedLayers:
    """Layers whose outputs an engine with bins computes in the order of their scales.

    An output is ``acc * s_x * scale (+ bias)``, and outputs of a bin have nearly the same scale.
    So the bin's greatest accumulators, or its least where the scales are negative, are its greatest
    outputs, or nearly so. :meth:`likeliest` takes two of each, and shows by the second that nothing
    that was not sent is as great as the greatest that was. Where that fails, all are fetched.

    Parameters
    ----------
    layers : sequence of Layer
        They share an input.
    packing : Packing
        Of the driver's engine.
    driver : Driver
        Reaches an engine whose ``bin_tiles`` is not 0.

    Raises
    ------
    CompileError
        If the engine cannot compute them.
    """

    def __init__(self, layers: Sequence[Layer], packing: Packing, driver: Driver):
        self._layers = tuple(layers)
        self._driver = driver
        self._orders = [np.argsort(layer.scale, kind="stable") for layer in layers]
        #: All outputs, each layer's in the order of its scales.
        self.program = compile_layers(
            layers,
            driver.config,
            packing=packing,
            held=driver.holds,
            orders=list(map(OutputOrder, self._orders)),
        )
        #: The same, of which only extremes are fetched; it streams the same weights.
        self.few = fetching_few(self.program, layers)

    def all(self, x: npt.NDArray[np.float32]) -> _Outputs:
        """Return every layer's outputs, ``[M, N]``, for tokens ``[M, K]``."""
        xq, s_x = self._layers[0].quantise(x)
        return self._scaled(self._driver.run(self.program, xq).outputs, s_x)

    def likeliest(self, x: npt.NDArray[np.float32]) -> _Outputs:
        """Return every layer's outputs, ``[M, N]``, for tokens ``[M, K]``, as far as they count.

        A token's greatest output of all layers is there, and every other that is as great. Others
        are there too or minus infinity.

        All that is done to an accumulator in float32 keeps the order, rounding included, so what is
        made of a bound is a bound of the output.
        """
        xq, s_x = self._layers[0].quantise(x)
        result = self._driver.run(self.few, xq)
        outputs = self._scaled(result.outputs, s_x)
        sent = [self._placed(s, o) for s, o in zip(result.sent, self._orders, strict=True)]
        known = [np.where(s, y, np.float32(-np.inf)) for y, s in zip(outputs, sent, strict=True)]
        bound = [np.where(s, np.float32(-np.inf), y) for y, s in zip(outputs, sent, strict=True)]
        open_rows = np.flatnonzero(~(_greatest(bound) < _greatest(known)))
        if len(open_rows):
            whole = self._driver.run(self.program, xq[open_rows]).outputs
            for y, full in zip(known, self._scaled(whole, s_x[open_rows]), strict=True):
                y[open_rows] = full
        return tuple(known)

    def _scaled(
        self, accs: Sequence[npt.NDArray[np.int32]], s_x: npt.NDArray[np.float32]
    ) -> _Outputs:
        parts = zip(self._layers, accs, self._orders, strict=True)
        return tuple(layer.scaled(self._placed(acc, o), s_x) for layer, acc, o in parts)

    @staticmethod
    def _placed(values: npt.NDArray, order: npt.NDArray[np.int64]) -> npt.NDArray:
        """Return an engine's columns in the layer's own order."""
        placed = np.empty_like(values)
        placed[:, order] = values
        return placed


def _greatest(values: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """Return each token's greatest of all layers, ``[M]``."""
    return np.max([v.max(axis=1) for v in values], axis=0)
