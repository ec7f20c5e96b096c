"""Checkpoints that others quantised, taken over where the format can hold them."""

from summand.compress.importers.errors import NotHeldError
from summand.compress.importers.folder import float_tensors, open_folder, quantisation_of
from summand.compress.importers.gguf_check import check_gguf
from summand.compress.importers.gguf_facts import GgufFacts
from summand.compress.importers.gguf_file import GgufCheckpoint, decode_blocks
from summand.compress.importers.hold import Fidelity, hold
from summand.compress.importers.keep import Keeper
from summand.compress.importers.weight import Checkpoint, QuantisedWeight

__all__ = [
    "Checkpoint",
    "Fidelity",
    "GgufCheckpoint",
    "GgufFacts",
    "Keeper",
    "NotHeldError",
    "QuantisedWeight",
    "check_gguf",
    "decode_blocks",
    "float_tensors",
    "hold",
    "open_folder",
    "quantisation_of",
]
