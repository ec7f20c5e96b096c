"""Folders of compressed-tensors and of GPTQ, packed here by other code than ours."""

import json

import numpy as np
import pytest
import torch

from summand.compress import CompressError, open_source
from summand.compress.importers import NotHeldError
from summand.compress.importers.words import unpack_words

from .conftest import half, linear, round_to, to_words


def packed_config(**weights):
    """Return a configuration of compressed-tensors whose linear layers are all alike."""
    groups = {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4} | weights}}
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "config_groups": groups,
    }


PACKED = packed_config(group_size=16)
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 16, "desc_act": False}


def packed(bits=4, group=16, zero=None):
    """Return a writer of compressed-tensors' layers; ``zero`` is how zero points are stored."""

    def write(weight, rng):
        n, k = weight.shape
        size = group or k
        codes, scales = round_to(weight, bits, size)
        offset = 1 << (bits - 1)
        tensors = {
            "weight_packed": to_words(codes + offset, bits),
            "weight_scale": torch.from_numpy(scales).to(torch.float16),
            "weight_shape": torch.tensor([n, k]),
        }
        zeros = np.zeros_like(scales, np.int64)
        if zero:
            zeros = rng.integers(-2, 3, scales.shape)
            plain = torch.from_numpy(zeros.astype(np.int8))
            words = to_words((zeros + offset).T, bits).T
            tensors["weight_zero_point"] = words if zero == "packed" else plain
        spread = [np.repeat(a, size, axis=1)[:, :k] for a in (zeros, scales)]
        return tensors, ((codes - spread[0]) * spread[1]).astype(np.float32)

    return write


def gptq(bits=4, group=16, zero=False, first=1, order=None, turned=False):
    """Return a writer of GPTQ's layers.

    ``order`` shuffles which features make a group, ``turned`` numbers groups from the last on.
    """

    def write(weight, rng):
        n, k = weight.shape
        size = group if group > 0 else k
        index = np.arange(k) // size
        if order:
            index = index[np.random.default_rng(order).permutation(k)]
        groups = index.max() + 1
        if turned:
            index = groups - 1 - index
        scales = half(rng.uniform(0.5, 1, (groups, n)) / (1 << bits))
        middle = 1 << (bits - 1)
        zeros = rng.integers(1, 1 << bits, (groups, n)) if zero else np.full((groups, n), middle)
        q = np.clip(np.rint(weight.T / scales[index] + zeros[index]), 0, (1 << bits) - 1)
        q = q.astype(np.int64)
        tensors = {
            "qweight": to_words(q.T, bits).T,
            "qzeros": to_words(zeros - first, bits),
            "scales": torch.from_numpy(scales).to(torch.float16),
            "g_idx": torch.from_numpy(index.astype(np.int32)),
        }
        return tensors, ((q - zeros[index]) * scales[index]).astype(np.float32).T

    return write


@pytest.mark.parametrize("bits", range(1, 9))
def test_words_of_every_width(bits):
    rows = np.random.default_rng(bits).integers(0, 1 << bits, (3, 37))
    assert np.array_equal(unpack_words(to_words(rows, bits).numpy(), bits, 37), rows)


def test_words_that_are_too_few():
    with pytest.raises(ValueError, match="1 words of 32 bits do not hold 9 integers of 4"):
        unpack_words(np.zeros((2, 1), np.int32), 4, 9)


@pytest.mark.parametrize(
    ("writer", "config"),
    [
        (packed(), PACKED),
        (packed(zero="plain"), packed_config(group_size=16, symmetric=False)),
        (packed(zero="packed"), packed_config(group_size=16, symmetric=False)),
        (packed(group=0), packed_config(group_size=-1)),
        (packed(bits=8, group=0), packed_config(num_bits=8, strategy="channel")),
        (gptq(), GPTQ),
        (gptq(zero=True), GPTQ),
        (gptq(zero=True, first=0), GPTQ | {"checkpoint_format": "gptq_v2"}),
        (gptq(bits=2), GPTQ | {"bits": 2}),
        (gptq(bits=3, zero=True), GPTQ | {"bits": 3}),
        (gptq(bits=8), GPTQ | {"bits": 8}),
        (gptq(group=-1), GPTQ | {"group_size": -1}),
        (gptq(order=3), GPTQ | {"desc_act": True}),
    ],
)
def test_weights_are_what_was_written(quantised_folder, writer, config):
    path, matrices = quantised_folder(writer, config)
    source = open_source(str(path))
    assert source.quantised is not None
    assert len(matrices) == 14
    for name, matrix in matrices.items():
        assert source.quantised.holds(name)
        assert np.array_equal(source.quantised.weight(name).matrix().T, matrix)
        assert np.array_equal(linear(source.module, name), matrix)
    assert not source.quantised.holds("lm_head")
    head = linear(source.module, "lm_head")
    embedding = source.module.get_parameter("model.embed_tokens.weight")
    assert head.ctypes.data == embedding.data_ptr()


def test_zero_points_of_gptq_wrap_around(quantised_folder):
    """A zero point of 0 is stored as the largest integer."""

    def write(weight, rng):
        tensors, _ = gptq()(weight, rng)
        tensors["qzeros"] = torch.full_like(tensors["qzeros"], -1)
        words = tensors["qweight"].T.contiguous().numpy()
        q = unpack_words(words, 4, weight.shape[1])
        return tensors, q * tensors["scales"].float().numpy()[tensors["g_idx"]].T

    path, matrices = quantised_folder(write, GPTQ)
    source = open_source(str(path))
    assert source.quantised is not None
    for name, matrix in matrices.items():
        assert np.array_equal(source.quantised.weight(name).matrix().T, matrix.astype(np.float32))


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"quant_method": "awq", "bits": 4}, "quantised by awq, which cannot be read"),
        (PACKED | {"format": "float-quantized"}, "by compressed-tensors float-quantized, which"),
        (GPTQ | {"bits": 5}, r"quantization_config.bits must be 2, 3, 4 or 8 \(5\)"),
    ],
)
def test_other_kinds_are_refused_by_name(quantised_folder, config, match):
    path, _ = quantised_folder(gptq(), config)
    with pytest.raises(CompressError, match=match):
        open_source(str(path))


def test_widths_that_were_packed_in_two_ways_are_refused(quantised_folder):
    path, _ = quantised_folder(packed(bits=3), packed_config(num_bits=3, group_size=16))
    with pytest.raises(NotHeldError, match="packed integers of 3 bits; those of 1, 2, 4, 8 bits"):
        open_source(str(path))


def test_a_damaged_configuration(quantised_folder):
    path, _ = quantised_folder(gptq(), GPTQ)
    (path / "model.safetensors").rename(path / "other.safetensors")
    (path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": 3}))
    with pytest.raises(CompressError, match=r"index\.json is damaged"):
        open_source(str(path))


def test_a_part_that_is_missing(quantised_folder):
    def write(weight, rng):
        tensors, matrix = gptq()(weight, rng)
        del tensors["qzeros"]
        return tensors, matrix

    path, _ = quantised_folder(write, GPTQ)
    with pytest.raises(CompressError, match=r"lacks tensor model.*\.qzeros; it is not whole"):
        open_source(str(path))
