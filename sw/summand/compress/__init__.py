"""Compression of torch models: survey, calibration, solvers, evaluation."""

from summand.compress.calibrate.text import (
    Text,
    calibration_text,
    evaluation_text,
    mixed_text,
    other_text,
    read_text,
    windows,
)
from summand.compress.errors import CompressError
from summand.compress.evaluation.evaluate import Evaluation, evaluate, load_integer
from summand.compress.job.compressor import Job
from summand.compress.job.independent import compress_layers
from summand.compress.job.layer import compress_layer
from summand.compress.job.plan import plan
from summand.compress.network.survey import Survey, survey
from summand.compress.sources.sources import ModelSource, open_source, reopen, window_of
from summand.compress.twin.integer import IntegerLinear
from summand.compress.workers.parallel import Workers
from summand.recipe.choice import Choice, choices_of
from summand.recipe.options import Options

__all__ = [
    "Choice",
    "CompressError",
    "Evaluation",
    "IntegerLinear",
    "Job",
    "ModelSource",
    "Options",
    "Survey",
    "Text",
    "Workers",
    "calibration_text",
    "choices_of",
    "compress_layer",
    "compress_layers",
    "evaluate",
    "evaluation_text",
    "load_integer",
    "mixed_text",
    "open_source",
    "other_text",
    "plan",
    "read_text",
    "reopen",
    "survey",
    "window_of",
    "windows",
]
