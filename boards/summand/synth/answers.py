"""The structural terms of what sends results back in other forms than 32 bits each.

Nothing else of an engine depends on these, and none of them on the number of rows.
"""

from dataclasses import replace

from summand.isa import EngineConfig

__all__ = ["answer_ff_terms", "answer_lut_terms", "plainly_answering"]


def plainly_answering(config: EngineConfig) -> EngineConfig:
    """Return the engine that has none of it."""
    if not (config.limb_bits or config.bin_tiles):
        return config
    return replace(config, limb_bits=0, bin_tiles=0)


def answer_lut_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of its look-up tables."""
    bins = config.bin_tiles > 0
    return {
        "limbs": config.limb_bits > 0,
        "limb_choices": config.cols * config.limb_bits * max(0, config.acc_limbs - 1),
        "bins": bins,
        "bin_choices": bins and (config.cols - 1) * config.acc_bits,
    }


def answer_ff_terms(config: EngineConfig) -> dict[str, float]:
    """Return the terms of its flip-flops."""
    return {
        "limbs": config.limb_bits > 0,
        "limbs_packed": _packed(config),
        "bins": config.bin_tiles > 0,
    }


def _packed(config: EngineConfig) -> int:
    """Return by how many bits limbs make the registers grow in which results become beats."""
    if not config.limb_bits:
        return 0
    whole, limbs = (
        2 * config.stream_bits - piece if piece < config.stream_bits else 0
        for piece in (32 * config.cols, config.limb_bits * config.cols)
    )
    return limbs - whole
