"""Compression of torch models: survey, calibration, solvers, evaluation."""

from summand.compress.compressor import Job, plan
from summand.compress.errors import CompressError
from summand.compress.evaluate import Evaluation, evaluate, load_integer
from summand.compress.gptq import Gptq
from summand.compress.integer import IntegerLinear
from summand.compress.lowrank import Iterative, PlainSvd, WhitenedSvd
from summand.compress.options import Choice, Options
from summand.compress.parallel import Workers
from summand.compress.pipeline import compress_layer, compress_layers
from summand.compress.rtn import RoundToNearest
from summand.compress.sources import Source, open_source, reopen, window_of
from summand.compress.survey import Survey, survey
from summand.compress.text import (
    Text,
    calibration_text,
    evaluation_text,
    other_text,
    read_text,
    windows,
)

__all__ = [
    "Choice",
    "CompressError",
    "Evaluation",
    "Gptq",
    "IntegerLinear",
    "Iterative",
    "Job",
    "Options",
    "PlainSvd",
    "RoundToNearest",
    "Source",
    "Survey",
    "Text",
    "WhitenedSvd",
    "Workers",
    "calibration_text",
    "compress_layer",
    "compress_layers",
    "evaluate",
    "evaluation_text",
    "load_integer",
    "open_source",
    "other_text",
    "plan",
    "read_text",
    "reopen",
    "survey",
    "window_of",
    "windows",
]
