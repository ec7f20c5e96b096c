"""The real model, on which the figures of the documentation are measured."""

import dataclasses

import numpy as np
import pytest

from summand.compress import (
    Options,
    calibration_text,
    evaluate,
    evaluation_text,
    load_integer,
    open_source,
    plan,
    windows,
)
from summand.compress.twin.integer import replace
from summand.model import Layer, SummandModel

pytestmark = [pytest.mark.model, pytest.mark.slow]


def first_alone(layer: Layer) -> Layer:
    """Leave the dense summand, which is the same with and without the low-rank one."""
    first, *rest = layer.summands
    scale = np.ldexp(layer.scale, sum(summand.acc_shift for summand in rest))
    return dataclasses.replace(layer, summands=(first,), scale=scale)


def test_a_low_rank_summand_pays_on_smollm2(tmp_path):
    """Little text and a low rank, to be quick, so only the figures' order and rough bounds."""
    source = open_source("smollm2")
    rows = windows(source.tokenizer, evaluation_text(), tokens=256, window=256)
    options = Options(bits=4, rank=8, rank_bits=8, solver="rtn")
    plan(source, options, calibration_text(), tokens=512).run(tmp_path / "m")
    model = SummandModel(tmp_path / "m")
    assert len(model.names) == 211
    assert max(entry.acc_bits for entry in model.manifest.layers) <= 32

    module = load_integer(model)
    both = evaluate(module, rows, reference=source.module)
    for layer in model.layers():
        replace(module, first_alone(layer))
    dense = evaluate(module, rows)
    assert both.reference_perplexity is not None
    assert both.reference_perplexity < both.perplexity < dense.perplexity
    assert both.perplexity < 1.4 * both.reference_perplexity
    assert dense.perplexity < 2 * both.reference_perplexity
