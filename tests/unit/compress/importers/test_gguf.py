"""GGUF blocks, packed here by other code than ours."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from summand.compress.importers import GgufCheckpoint, NotHeldError, decode_blocks


def f16(value: float) -> bytes:
    return np.float16(value).tobytes()


def write_row(kind: str, codes: np.ndarray, scales: np.ndarray, least: np.ndarray) -> bytes:
    """Return a row's blocks of 32 unsigned (Q8_0: signed) integers."""
    out = b""
    for b, d in enumerate(scales):
        block = codes[32 * b : 32 * (b + 1)]
        out += f16(d) + (f16(least[b]) if kind == "Q4_1" else b"")
        if kind == "Q8_0":
            out += bytes(int(q) & 255 for q in block)
        else:
            out += bytes(int(block[i]) | int(block[i + 16]) << 4 for i in range(16))
    return out


def tensor(kind: str, seed: int, n: int = 24, k: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Return a tensor's bytes ``[N, bytes]`` and the matrix ``[N, K]`` that it represents."""
    rng = np.random.default_rng(seed)
    low, high = (-127, 128) if kind == "Q8_0" else (0, 16)
    codes = rng.integers(low, high, (n, k))
    d = rng.uniform(0.01, 0.02, (n, k // 32)).astype(np.float16).astype(np.float32)
    if kind == "Q4_0":
        d *= rng.choice([-1, 1], d.shape)
    m = rng.uniform(-0.2, -0.05, d.shape).astype(np.float16).astype(np.float32)
    rows = [write_row(kind, *row) for row in zip(codes, d, m, strict=True)]
    wide, offset = (np.repeat(a, 32, axis=1) for a in (d, m))
    matrix = {"Q4_0": wide * (codes - 8), "Q4_1": wide * codes + offset, "Q8_0": wide * codes}[kind]
    return np.array([np.frombuffer(row, np.uint8) for row in rows]), matrix.astype(np.float32)


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_1", "Q8_0"])
def test_blocks_are_what_was_written(kind):
    data, matrix = tensor(kind, 1)
    weight = decode_blocks(kind, data)
    assert weight.group == 32
    assert np.allclose(weight.matrix().T, matrix, rtol=1e-6, atol=1e-6)
    # gguf's own reading agrees, too.
    other = gguf.dequantize(data, gguf.GGMLQuantizationType[kind])
    assert np.allclose(weight.matrix().T, other, rtol=1e-6, atol=1e-6)


def test_a_kind_that_cannot_be_held():
    with pytest.raises(NotHeldError, match="blocks of kind Q6_K; Q4_0, Q4_1, Q8_0 can be held"):
        decode_blocks("Q6_K", np.zeros((1, 210), np.uint8))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    for name, kind in (("blk.0.ffn_up", "Q4_0"), ("token_embd", "Q8_0")):
        data, _ = tensor(kind, 2)
        writer.add_tensor(f"{name}.weight", data, raw_dtype=gguf.GGMLQuantizationType[kind])
    writer.add_tensor("blk.0.ffn_down.weight", np.zeros((4, 32), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_layers_are_found_by_their_names_in_the_model(file):
    checkpoint = GgufCheckpoint(file, tied=True)
    assert checkpoint.holds("model.layers.0.mlp.up_proj")
    matrix = checkpoint.weight("model.layers.0.mlp.up_proj").matrix()
    assert np.allclose(matrix.T, tensor("Q4_0", 2)[1], rtol=1e-6)
    for name in ("model.layers.0.mlp.down_proj", "model.layers.0.mlp.gate_proj", "else"):
        assert not checkpoint.holds(name)


def test_a_tied_head_is_the_embedding(file):
    assert GgufCheckpoint(file, tied=True).weight("lm_head").kind == "Q8_0"
    assert not GgufCheckpoint(file, tied=False).holds("lm_head")
