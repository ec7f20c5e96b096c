"""N:M sparse weights as bytes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.patterns import IndexForm, SparsePattern
from summand.isa.segments import Segment
from summand.isa.sparse import SparseError, pack_sparse, unpack_sparse

FIXED = settings(deadline=None, derandomize=True, max_examples=150)
CONFIGS = [
    EngineConfig(cols=1, depth=32, stream_bits=32, sparse_block=16),
    EngineConfig(cols=4, depth=8, stream_bits=32, acc_depth=16, sparse_block=4),
    EngineConfig(cols=4, depth=16, stream_bits=32, sparse_block=8),
    EngineConfig(cols=8, depth=64, stream_bits=512, sparse_block=16),
    EngineConfig(cols=8, depth=16, stream_bits=32, sparse_block=4),
]
PATTERNS = [(config, kept) for config in CONFIGS for kept in range(1, config.sparse_block)]


def sparse(rng, k: int, n: int, planes: int, kept: int, block: int):
    """Return random weights with at most ``kept`` of every block not zero."""
    top = 1 << planes - 1
    full = rng.integers(-top, top, (-(-k // block), block, n))
    drop = rng.random(full.shape).argsort(axis=1).argsort(axis=1) >= kept
    return np.where(drop, 0, full).reshape(len(full) * block, n)[:k]


@FIXED
@given(
    pattern=st.sampled_from(PATTERNS),
    k=st.integers(0, 90),
    n=st.integers(0, 20),
    planes=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_unpacking_undoes_packing(pattern, k, n, planes, seed):
    config, kept = pattern
    weights = sparse(np.random.default_rng(seed), k, n, planes, kept, config.sparse_block)
    raw = pack_sparse(weights, planes, kept, config)
    slices, tiles = -(-k // config.depth), -(-n // config.cols)
    beats = Segment(tile=0, tiles=tiles, planes=planes, kept=kept).beats(config)
    assert raw.shape == (slices, beats * config.beat_bytes)
    back = unpack_sparse(raw, tiles, planes, kept, config)
    assert back.shape == (slices * config.depth, tiles * config.cols)
    np.testing.assert_array_equal(back[:k, :n], weights)
    assert not back[k:].any()
    assert not back[:, n:].any()


@pytest.mark.parametrize(
    ("block", "forms", "chunks"),
    [
        (4, "PMH", [2, 4, 2]),
        (8, "PPMMMHH", [3, 6, 8, 8, 8, 6, 3]),
        (16, "PPPMMMMMMMMMHHH", [4, 8, 12, *[16] * 9, 12, 8, 4]),
    ],
)
def test_the_cheapest_index_is_taken(block, forms, chunks):
    patterns = [SparsePattern(kept=kept, block=block) for kept in range(1, block)]
    assert "".join(p.index_form.name[0] for p in patterns) == forms
    assert [p.index_chunks for p in patterns] == chunks


@FIXED
@given(
    pattern=st.sampled_from(PATTERNS),
    tiles=st.integers(1, 5),
    planes=st.integers(1, 8),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_bytes_mean_what_the_contract_says(pattern, tiles, planes, seed):
    """Compared with the definition, one weight at a time."""
    config, kept = pattern
    rng = np.random.default_rng(seed)
    beats = Segment(tile=0, tiles=tiles, planes=planes, kept=kept).beats(config)
    raw = rng.integers(0, 256, (1, beats * config.beat_bytes), np.uint8)
    found = unpack_sparse(raw, tiles, planes, kept, config)
    block = config.sparse_block
    places, blocks = block.bit_length() - 1, config.depth // block
    size = config.plane_bits // block  # of a chunk
    costs = {"mask": block, "positions": kept * places, "holes": (block - kept) * places}
    form = min(costs, key=lambda name: costs[name])
    stream = int.from_bytes(raw.tobytes(), "little")
    at = 0
    for tile in range(tiles):
        chunks = [
            stream >> (at + c) * size & ((1 << size) - 1)
            for c in range(costs[form] + planes * kept)
        ]
        at += len(chunks)
        for n in range(config.cols):
            for j in range(blocks):
                bits = [chunk >> (n * blocks + j) & 1 for chunk in chunks]
                index, values = bits[: costs[form]], bits[costs[form] :]
                named = {
                    sum(bit << b for b, bit in enumerate(index[f : f + places]))
                    for f in range(0, len(index), places)
                }
                chosen = {
                    "mask": {p for p, bit in enumerate(index) if bit},
                    "positions": named,
                    "holes": set(range(block)) - named,
                }[form]
                expected = [0] * block
                for rank, place in enumerate(sorted(chosen)[:kept]):
                    weight = -values[rank]
                    for p in range(1, planes):
                        weight = 2 * weight + values[p * kept + rank]
                    expected[place] = weight
                part = found[j * block : (j + 1) * block, tile * config.cols + n]
                assert part.tolist() == expected


def test_a_block_with_too_many_weights_is_named():
    weights = np.zeros((8, 4), int)
    weights[4:7, 2] = 1
    with pytest.raises(SparseError, match="a block of 4 weights has 3 that are not zero, more tha"):
        pack_sparse(weights, 2, 2, CONFIGS[1])
    with pytest.raises(ValueError, match="to fit 2 planes"):
        pack_sparse(2 * weights, 2, 3, CONFIGS[1])


def test_index_form_is_the_masks_where_it_costs_the_same():
    assert SparsePattern(kept=2, block=4).index_form is IndexForm.MASK
    assert SparsePattern(kept=4, block=16).index_form is IndexForm.MASK
