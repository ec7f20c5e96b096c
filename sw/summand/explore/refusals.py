"""What is said where a search finds nothing: what is lacking, and what comes nearest."""

import numpy as np
import numpy.typing as npt

from summand.boards.board import Board
from summand.boards.library import packaged_boards
from summand.explore.errors import ExploreError
from summand.explore.workload import Limits
from summand.isa import EngineConfig
from summand.synth.estimate import Resources, estimate

__all__ = ["nearest", "too_large", "too_small"]


def too_small(board: Board, limits: Limits, least: Resources, engine: EngineConfig) -> ExploreError:
    """Say that not even the smallest engine fits, which takes ``least``."""
    part = board.chip.part
    lacking = [
        f"{getattr(least, k.name):,} {k.title} of {getattr(part, k.name):,}"
        for k in least.lacking(part)
    ]
    if limits.luts is not None and least.luts > limits.luts:
        lacking.append(f"{least.luts:,} look-up tables of the {limits.luts:,} allowed")
    mhz = board.clock.engine_hz / 1e6
    if least.fmax_mhz is not None and least.fmax_mhz < mhz:
        lacking.append(f"a clock of {mhz:g} MHz, and reaches {least.fmax_mhz:.0f}")
    return ExploreError(
        f"no engine for this model fits {board.name}: the smallest takes "
        f"{', '.join(lacking)}{_larger(engine)}"
    )


def too_large(board: Board, least: float) -> ExploreError:
    """Say that the smallest allocation, of ``least`` bytes, does not fit the memory."""
    held = board.memory.bytes
    larger = [
        (other.memory.bytes, name)
        for name, other in packaged_boards().items()
        if other.memory.bytes >= least
    ]
    could = f"; the smallest board that could is {min(larger)[1]}" if larger else ""
    return ExploreError(
        f"the model fits the memory of {board.name} at no setting: it takes "
        f"{least / 1e6:.1f} MB at least, {(least - held) / 1e6:.1f} MB more than there are"
        f"{could}"
    )


def nearest(
    board: Board,
    limits: Limits,
    held: npt.NDArray[np.bool_],
    loss: npt.NDArray[np.float64],
    rate: npt.NDArray[np.float64],
) -> ExploreError:
    """Say what comes nearest to the limits, of points that the memory holds."""
    close, quick = held & (loss <= limits.kl), held & (rate >= limits.tokens_s)
    said = []
    if close.any():
        said.append(f"at a loss of {limits.kl:g} nats at most {rate[close].max():.3g} tokens/s")
    else:
        said.append(f"the least loss is {loss[held].min():.3g} nats")
    if quick.any():
        said.append(
            f"at {limits.tokens_s:g} tokens/s the least loss is {loss[quick].min():.3g} nats"
        )
    else:
        said.append(f"the most are {rate[held].max():.3g} tokens/s")
    return ExploreError(
        f"no point keeps all limits on {board.name}: {'; '.join(said)}. Raise --max-kl, "
        f"or lower --min-tokens-per-second"
    )


def _larger(engine: EngineConfig) -> str:
    """Return which board is the smallest on which an engine fits by a model, if there is one."""
    found: list[tuple[int, str]] = []
    for board in packaged_boards().values():
        if board.family.modelled:
            part = board.chip.part
            if not estimate(engine, board.family).lacking(part):
                found.append((part.luts, board.name))
    return f"; the smallest board that has room for it is {min(found)[1]}" if found else ""
