"""Plans of matrices that are made on the chip: of what makes them, and of what they multiply.

Layers' results for the *rows* of a matrix stay in the engine's operand memory, as plane words, and
tokens are multiplied by that matrix. What the memory does not hold at once is cut into chunks of
output tiles.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from summand.isa import EngineConfig
from summand.isa.results import limbs_for
from summand.isa.rounding import ceil_div
from summand.schedule.errors import CompileError
from summand.schedule.plan import plan
from summand.schedule.steps import Deposit, Fetch, Input, Matrix, PlanStep, Strip, Walk
from summand.schedule.terms import Sizes
from summand.schedule.tiling import Run, Tiling, even

__all__ = ["Chunk", "OperandTiling"]

#: The steps of one batch, and its rows.
_Batch = tuple[int, tuple[PlanStep, ...]]


@dataclass(frozen=True)
class Chunk:
    """Output tiles that the operand memory holds together, from the ``first`` of all on.

    ``sizes`` are the tiles of the passes in which tokens are multiplied by them.
    """

    first: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class OperandTiling:
    """How a matrix ``[rank, N]`` that layers make of ``rank`` rows is cut up for an engine.

    Parameters
    ----------
    layers : tuple of Sizes
        They share an input; N is the number of all their outputs.
    rank : int
        Rows of the matrix, which are input features of what it multiplies.
    planes : int
        Bit-planes of its elements, 1 to 8.
    config : EngineConfig
        An engine with an operand memory.

    Raises
    ------
    CompileError
        If the engine has none, or one that does not hold a single tile of the matrix.
    """

    layers: tuple[Sizes, ...]
    rank: int
    planes: int
    config: EngineConfig

    def __post_init__(self):
        config = self.config
        if not config.operand_depth:
            raise CompileError(
                "the engine has no operand memory, its operand_depth is 0; use an engine with one, "
                "or compute without decomposition"
            )
        if not self._room:
            raise CompileError(
                f"a tile of {self.rank} rows with {self.planes} planes takes "
                f"{self.slices * self.planes} words, but the engine's operand_depth is "
                f"{config.operand_depth}; use an engine with more, or a lower rank"
            )
        if self.slices > config.act_depth:
            raise CompileError(
                f"{self.rank} rows take {self.slices} slices of activations, but the engine's "
                f"act_depth is {config.act_depth}; use an engine with more, or a lower rank"
            )

    @property
    def slices(self) -> int:
        """K-slices of the matrix."""
        return ceil_div(self.rank, self.config.depth)

    @property
    def _room(self) -> int:
        """Output tiles that the operand memory holds."""
        return self.config.operand_depth // (self.slices * self.planes)

    @cached_property
    def _tiling(self) -> Tiling:
        return Tiling.of(self.layers, self.config)

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks, whose passes have about equal sizes."""
        found: list[Chunk] = []
        for tiles in even(self._tiling.total, self._room):
            first = found[-1].first + sum(found[-1].sizes) if found else 0
            found.append(Chunk(first, even(tiles, self._tiling.half)))
        return tuple(found)

    def _passes(
        self, chunk: Chunk, phase: int, *, parts: bool = False
    ) -> tuple[tuple[Run, ...], ...]:
        """Return a chunk's passes, or the ``parts`` that they are made in, in turn from a phase."""
        sizes = [self._parts(each) if parts else each.sizes for each in self.chunks]
        at = self.chunks.index(chunk)
        first = sum(map(len, sizes[:at]))
        every = self._tiling.passes([s for each in sizes for s in each], (phase + first) % 2)
        return every[first : first + len(sizes[at])]

    def _parts(self, chunk: Chunk) -> tuple[int, ...]:
        """Return the tiles of a chunk's passes, each cut to what one CAST may have."""
        most = self.config.requant_depth // self.config.cols
        return tuple(part for size in chunk.sizes for part in even(size, most))

    def making(self, chunk: Chunk) -> Iterator[_Batch]:
        """Yield the batches that make a chunk: their rows, and steps.

        No batch crosses a slice of the matrix, because its rows are lanes side by side. A pass has
        no more tiles than one CAST may, which goes on behind the walk of the next pass.
        """
        row = phase = 0
        while row < self.rank:
            at, lane = divmod(row, self.config.depth)
            rows = min(self.config.rows, self.config.depth - lane, self.rank - row)
            places = self._places(chunk, at)
            passes = self._passes(chunk, phase, parts=True)
            steps: list[PlanStep] = []
            for step in plan(self.layers, self._tiling, passes, self.config):
                if isinstance(step, Fetch):
                    step = Deposit(step.runs, self.planes, next(places), lane)
                steps.append(step)
            yield rows, tuple(steps)
            row += rows
            phase = (phase + len(passes)) % 2

    def _places(self, chunk: Chunk, at: int) -> Iterator[int]:
        """Yield the first word of each part of a chunk's passes, in slice ``at`` of the matrix."""
        ends = [*accumulate(chunk.sizes)]
        for part in accumulate(self._parts(chunk), initial=0):
            which = bisect_right(ends, part)
            if which == len(ends):
                return
            size = chunk.sizes[which]
            start = ends[which] - size
            yield (self.slices * start + at * size + part - start) * self.planes

    def _words(self, chunk: Chunk) -> tuple[int, ...]:
        """Return where each pass's words begin."""
        ends = accumulate(chunk.sizes, initial=0)
        return tuple(self.slices * end * self.planes for end in ends)[:-1]

    def outputs(self, chunk: Chunk) -> tuple[tuple[int, int, int], ...]:
        """Return whose outputs a chunk has: a layer, its first of them, and the one behind."""
        cols = self.config.cols
        spans: dict[int, tuple[int, int]] = {}
        for run in (run for runs in self._passes(chunk, 0) for run in runs):
            low, high = run.first * cols, (run.first + run.tiles) * cols
            first, _ = spans.get(run.layer, (low, high))
            spans[run.layer] = first, min(high, self.layers[run.layer].out_features)
        return tuple((layer, low, high) for layer, (low, high) in spans.items())

    def multiplying(self, chunk: Chunk, tokens: int) -> Iterator[_Batch]:
        """Yield the batches that multiply tokens by a chunk: their rows, and steps.

        The steps' runs are of :meth:`outputs`: each counts a layer's tiles from its first there.
        """
        rows, phase = self.config.rows, 0
        firsts = {layer: low // self.config.cols for layer, low, _ in self.outputs(chunk)}
        places = {layer: i for i, layer in enumerate(firsts)}
        for start in range(0, tokens, rows):
            passes = self._passes(chunk, phase)
            steps: list[PlanStep] = [Input(0, self.slices)]
            for runs, word in zip(passes, self._words(chunk), strict=True):
                mine = tuple(
                    Run(places[r.layer], r.first - firsts[r.layer], r.tiles, r.tile) for r in runs
                )
                strips = tuple(
                    Strip(
                        Matrix(run.layer, 0, "direct"),
                        run.first,
                        run.tile,
                        run.tiles,
                        self.planes,
                        clear=True,
                    )
                    for run in mine
                )
                limbs = limbs_for(self._product(1).acc_bits, self.config)
                steps += [Walk(0, 0, self.slices, strips, from_word=word), Fetch(mine, limbs)]
            yield min(rows, tokens - start), tuple(steps)
            phase = (phase + len(passes)) % 2

    def product(self, chunk: Chunk) -> tuple[Sizes, ...]:
        """Return the sizes of what tokens are multiplied by."""
        return tuple(self._product(high - low) for _, low, high in self.outputs(chunk))

    def _product(self, outputs: int) -> Sizes:
        act_bits = self.config.act_bits
        return Sizes.of_any(self.rank, outputs, planes=self.planes, act_bits=act_bits)
