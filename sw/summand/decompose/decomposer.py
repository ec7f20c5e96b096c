"""Lets an engine compute layers for a prompt by way of a few pseudo-tokens."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from summand.decompose.programs import Programs
from summand.model import Layer
from summand.model.decomposed import check_decomposable, joined, pseudo_tokens, scaled
from summand.model.decomposition import EXACT, Decomposition, spans
from summand.model.loud import loud_rows, parted, with_loud
from summand.runtime import Driver, Program

__all__ = ["Decomposer"]


class Decomposer:
    """Computes layers that share an input for many tokens at once, approximately.

    Products are the engine's or exact on the host, so golden model and gateware agree bit for bit,
    with each other and with :func:`summand.model.decomposed.decomposed`. The host finds a basis of
    the tokens between them, in float64.

    Parameters
    ----------
    driver : Driver
        Reaches an engine with an operand memory.
    layers : sequence of Layer
        The layers.
    program : Program
        What computes them.
    decomposition : Decomposition
        How.

    Raises
    ------
    CompileError
        If the engine cannot do it.
    LayerError
        If the layers' inputs cannot be decomposed.
    """

    def __init__(
        self,
        driver: Driver,
        layers: Sequence[Layer],
        program: Program,
        decomposition: Decomposition,
    ):
        check_decomposable(layers[0])
        self._driver, self._layers, self._of = driver, tuple(layers), decomposition
        self._programs = Programs(program, decomposition)
        self._bits = sum(layer.bits for layer in layers)
        self._loud = [loud_rows(layer, decomposition.loud) for layer in layers]

    def takes(self, tokens: int) -> bool:
        """Whether a prompt of so many tokens streams less this way."""
        whole = spans(tokens, self._of.span)
        return bool(whole) and self._of.saved(self._bits, len(whole[0])) > 0

    def rows(self, x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        """Return every layer's output for a prompt ``[M, K]``.

        That of its first tokens is exact; the others are decomposed in spans.

        Raises
        ------
        LayerError
            If an activation is not finite.
        """
        xq, s_x = self._layers[0].quantise(x[:EXACT])
        accs = self._driver.run(self._programs.exact, xq).outputs
        first = [layer.scaled(a, s_x) for layer, a in zip(self._layers, accs, strict=True)]
        parts = [self._span(x[span.start : span.stop]) for span in spans(len(x), self._of.span)]
        return tuple(np.concatenate(each) for each in zip(first, *parts, strict=True))

    def _span(self, x: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        quiet, alone = parted(x, self._of.loud)
        xq, s_x = self._layers[0].quantise(quiet)
        pseudo = pseudo_tokens(xq, s_x, self._of, self._driver.config.act_bits, self._multiply)
        accs: list[npt.NDArray[np.integer]]
        accs = [np.empty((len(x), layer.out_features), np.int32) for layer in self._layers]
        if self._programs.hosted is not None:
            products = self._driver.run(self._programs.hosted, pseudo.rows).outputs
            for layer, weights in zip(self._of.hosted, products, strict=True):
                accs[layer] = joined(pseudo.tokens, weights)
        for make, multiply, outputs in self._programs.chunks:
            self._driver.run(make, pseudo.rows)
            found = self._driver.run(multiply, pseudo.tokens).outputs
            for (layer, low, high), acc in zip(outputs, found, strict=True):
                accs[layer][:, low:high] = acc
        outputs = scaled(self._layers, self._of, accs, pseudo.scale)
        return self._with_loud(outputs, alone) if self._of.loud else outputs

    def _with_loud(
        self, outputs: Sequence[npt.NDArray[np.float32]], alone: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.float32], ...]:
        xq, s_x = self._layers[0].quantise(alone)
        accs = [joined(xq[:, list(self._of.loud)], rows) for rows in self._loud]
        return with_loud(self._layers, outputs, accs, s_x)

    def _multiply(
        self,
        what: Literal["sketch", "product", "back"],
        x: npt.NDArray[np.integer],
        matrix: npt.NDArray[np.int8],
        bits: int,
    ) -> npt.NDArray[np.integer]:
        if what == "sketch":
            program = self._programs.sketch
        else:
            program = self._programs.product(what, matrix)
        (found,) = self._driver.run(program, x).outputs
        return found
