"""The engines that a search looks at: every legal configuration that could be best somewhere.

What cannot be best is left out before it is evaluated, for these reasons:

* A plane word is as wide as the stream, because a wider array waits for its beats. Sparse segments
  have fewer beats than plane words, so up to four beats a word are tried with them.
* Accumulators hold 1,024, 2,048 or 4,096 outputs; with more, nothing is cut less often.
* Activations have room for the model's longest input, and for an intermediate of two slices.
* Streams that bring more than four times what the memory does only add padding. Twice is not
  enough: an engine that is as fast as the memory still waits for its tables.
* Rows come in ascending order, and the first number that does not fit ends them, because more rows
  take more of everything.

DSP blocks are tried without sparse segments, bins of 128 outputs only, and limbs not without bins
where there is an output head: those are choices and no proofs.
"""

import dataclasses
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from summand.explore.choices import featured
from summand.explore.features import FEATURES, Feature, limited
from summand.isa import ConfigError, EngineConfig
from summand.isa.limits import DIGIT_BITS, LIMB_BITS
from summand.isa.rounding import ceil_div, ceil_log2

__all__ = ["EngineClass", "classes"]

_STREAMS = (32, 64, 128, 256, 512)
_DEPTHS = (16, 32, 64, 128)
_SHARES = (1, 2, 4)
_OUTPUTS = (1024, 2048, 4096)
#: Beats of a plane word where segments may be sparse.
_BEATS = (1, 2, 4)
#: How much more a stream may bring than the memory.
_WIDER = 4
#: Slices of an intermediate.
_RANKS = 2
#: Outputs of a bin.
_BIN = 128


@dataclass(frozen=True)
class EngineClass:
    """Engines that differ in rows, memories and writers of tables only: all stream the same.

    Parameters
    ----------
    base : EngineConfig
        The one of one row with the least memories.
    """

    base: EngineConfig

    def answering(
        self, allowed: Collection[Feature] = FEATURES, *, head: bool
    ) -> Iterator["EngineClass"]:
        """Yield the class with each way of sending results back; all stream the same weights.

        ``head`` says whether the model has an output head, which bins are for; ``allowed`` is what
        engines may have.
        """
        found: dict[EngineConfig, None] = {}
        bins = max(1, _BIN // self.base.cols) if head else 0
        for limb_bits, bin_tiles in sorted({(0, 0), *((bits, bins) for bits in LIMB_BITS)}):
            try:
                base = dataclasses.replace(self.base, limb_bits=limb_bits, bin_tiles=bin_tiles)
            except ConfigError:  # no such engine: limbs of a tile are wider than a beat
                continue
            found[limited(base, allowed)] = None
        yield from map(EngineClass, found)

    def members(self) -> Iterator[EngineConfig]:
        """Yield the engines of one row, each with other memories and writers of tables."""
        for outputs in _OUTPUTS:
            for share in _SHARES:
                try:
                    yield dataclasses.replace(
                        self.base, acc_depth=max(2, outputs // self.base.cols), table_share=share
                    )
                except ConfigError:  # no such engine: fewer beats or tables than writers share
                    continue


def classes(
    longest: int, beat_bytes: float, allowed: Collection[Feature] = FEATURES
) -> Iterator[EngineClass]:
    """Yield the classes of engines for a model and a memory.

    Parameters
    ----------
    longest : int
        Input features of the widest input.
    beat_bytes : float
        Bytes that the memory brings in a cycle of the engine's clock.
    allowed : collection of Feature
        What engines may have.
    """
    digits = DIGIT_BITS if any(f.field == "digit_bits" for f in allowed) else (0,)
    features = {
        (
            e.scale_bits if scaled else 0,
            e.half_steps,
            e.sparse_block,
            e.shift if low_rank else 0,
            digit_bits,
        )
        for e in featured(allowed)
        for scaled in (False, True)
        for low_rank in (False, True)
        for digit_bits in ((0,) if e.sparse_block else digits)
    }
    for stream in _STREAMS:
        if stream > _STREAMS[0] and stream / 8 > _WIDER * beat_bytes:
            continue
        for depth in _DEPTHS:
            slices = ceil_div(longest, depth) + _RANKS
            for scale_bits, half_steps, sparse_block, shift, digit_bits in sorted(features):
                for beats in _BEATS if sparse_block else _BEATS[:1]:
                    if stream * beats < depth:
                        continue
                    try:
                        yield EngineClass(
                            EngineConfig(
                                cols=stream * beats // depth,
                                depth=depth,
                                stream_bits=stream,
                                acc_depth=max(2, _OUTPUTS[0] * depth // (stream * beats)),
                                act_depth=1 << ceil_log2(slices),
                                requant_depth=256,
                                scale_bits=scale_bits,
                                half_steps=half_steps,
                                sparse_block=sparse_block,
                                shift=shift,
                                digit_bits=digit_bits,
                            )
                        )
                    except ConfigError:  # no such engine
                        continue
