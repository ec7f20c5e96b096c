import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from summand.isa import EngineConfig
from summand.isa.packets import data_packet_bytes
from summand.isa.results import Extremes
from summand.schedule.extremes import SignedTiles, fetch_extremes
from summand.schedule.steps import Fetch, Input
from summand.schedule.tiling import Run

ENGINES = st.builds(
    EngineConfig,
    cols=st.sampled_from([2, 4]),
    depth=st.just(64),
    stream_bits=st.sampled_from([32, 128]),
    limb_bits=st.sampled_from([0, 4]),
    bin_tiles=st.sampled_from([1, 2, 8]),
)


def ascending(below: int, above: int) -> np.ndarray:
    return np.sort(np.r_[-1.0 - np.arange(below), np.arange(above)]).astype(np.float32)


def tiles_of(fetch: Fetch) -> list[tuple[int, int, int]]:
    return [(r.layer, r.first + n, r.tile + n) for r in fetch.runs for n in range(r.tiles)]


@given(
    ENGINES,
    st.lists(st.tuples(st.integers(0, 90), st.integers(0, 90)), min_size=1, max_size=3),
    st.integers(1, 9),
)
def test_every_tile_is_fetched_once_and_extremes_only_where_signs_are_one(config, sizes, cuts):
    scales = [ascending(below, above + (below + above == 0)) for below, above in sizes]
    runs, tile = [], 3
    for layer, scale in enumerate(scales):
        count = -(-len(scale) // config.cols)
        runs.append(Run(layer, 0, count, tile))
        tile += count
    whole = Fetch(tuple(runs), limbs=config.limb_bits)
    step = max(1, whole.tiles // cuts)
    plan = [
        Input(0, 1),
        *(whole.within(low, low + step) for low in range(whole.tile, tile, step)),
    ]
    signs = [SignedTiles.of(scale, config) for scale in scales]
    first, *rest = fetch_extremes(plan, signs, config)
    fetches = [step for step in rest if isinstance(step, Fetch)]
    assert first == plan[0]
    assert len(fetches) == len(rest)
    assert sum(map(tiles_of, fetches), []) == tiles_of(whole)
    for fetch in fetches:
        if fetch.extremes is Extremes.NONE:
            assert fetch.limbs == whole.limbs
            continue
        fetch.command(1).validate(config)
        (run,) = fetch.runs
        features = slice(run.first * config.cols, (run.first + run.tiles) * config.cols)
        mine = scales[run.layer][features]
        assert len(mine) == run.tiles * config.cols  # no tile that is not full
        assert (mine < 0).all() if fetch.extremes is Extremes.LEAST else (mine >= 0).all()
        few = data_packet_bytes(config, rows=1, tiles=run.tiles, extremes=fetch.extremes)
        assert few < data_packet_bytes(config, rows=1, tiles=run.tiles, limbs=whole.limbs)


def test_a_layers_tiles_by_their_signs():
    config = EngineConfig(cols=4, depth=64, stream_bits=128, limb_bits=4, bin_tiles=8)
    signs = SignedTiles.of(ascending(101, 203), config)
    assert signs == SignedTiles(negative=25, first=26, stop=76)
    parts = list(signs.parts(Run(0, 10, 66, 30)))
    assert parts == [
        (Run(0, 10, 15, 30), Extremes.LEAST),
        (Run(0, 25, 1, 45), Extremes.NONE),
        (Run(0, 26, 50, 46), Extremes.GREATEST),
    ]
    # 8 of the 15, and 48 of the 50; what is between is one fetch.
    fetches = fetch_extremes([Fetch((Run(0, 10, 66, 30),), 5)], [signs], config)
    assert fetches == (
        Fetch((Run(0, 10, 8, 30),), 0, Extremes.LEAST),
        Fetch((Run(0, 18, 7, 38), Run(0, 25, 1, 45)), 5),
        Fetch((Run(0, 26, 48, 46),), 0, Extremes.GREATEST),
        Fetch((Run(0, 74, 2, 94),), 5),
    )
