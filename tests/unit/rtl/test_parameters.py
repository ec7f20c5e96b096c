import random

import pytest

from summand.isa import EngineConfig
from summand.rtl.parameters import ParameterReader
from summand.testing.streams import Source, simulate

CONFIGS = [
    EngineConfig(cols=cols, depth=64, stream_bits=bits, requant_depth=64)
    for cols, bits in ((1, 32), (1, 64), (8, 512))
]


def random_payload(config, rng, features, *, spoil):
    """Return (mult, shift, pad) of each feature, and the beats, the last filled up with ones."""
    params = [(rng.getrandbits(16), rng.choice([1, 2, 31, 32, 46, 47]), 0) for _ in range(features)]
    if spoil:
        at = rng.randrange(features)
        mult, shift, _ = params[at]
        shift, pad = rng.choice([(0, 0), (48, 0), (63, 0), (64, 0), (255, 0), (shift, 1)])
        params[at] = mult, shift, pad << rng.randrange(8)
    raw = b"".join(m.to_bytes(2, "little") + bytes([s, p]) for m, s, p in params)
    raw += b"\xff" * (-len(raw) % config.beat_bytes)
    size = config.beat_bytes
    beats = [int.from_bytes(raw[n : n + size], "little") for n in range(0, len(raw), size)]
    return params, beats


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.stream_bits}bit")
@pytest.mark.parametrize("p_stall", [0.0, 0.5])
def test_parameters_come_in_order_and_bad_ones_are_found(config, p_stall):
    """Commands of any length, good and bad in turn; padding is neither passed on nor checked."""
    rng = random.Random(1)
    dut = ParameterReader(config)

    async def bench(ctx):
        for n in range(60):
            features = rng.choice([1, 2, 15, 16, 17, config.requant_depth])
            spoil = n % 3 == 1
            params, beats = random_payload(config, rng, features, spoil=spoil)
            source = Source(dut.i, beats, p_stall=p_stall, seed=n)
            ctx.set(dut.features, features)
            await ctx.tick()
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            ctx.set(dut.features, 0)
            got, cycle = [], 0
            for cycle in range(3000):
                source.before(ctx)
                _, _, ready, valid, param, checked, bad = await ctx.tick().sample(
                    dut.i.ready, dut.param_valid, dut.param, dut.checked, dut.bad
                )
                source.after(cycle, [ready])
                if valid:
                    got.append((param.mult, param.shift, param.pad))
                if checked:
                    assert bad == spoil, params
                    break
            assert got == params
            if not p_stall:  # one a cycle, and three until the last has been checked
                assert cycle == features + 2
            assert len(source.sent) == len(beats)

    simulate(dut, bench)
