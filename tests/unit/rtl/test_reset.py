import pytest

from summand.rtl.reset import ResetHold
from summand.testing.streams import simulate


@pytest.mark.parametrize("cycles", [1, 2, 5, 64])
def test_lasts_from_power_up_and_from_the_last_request(cycles):
    dut = ResetHold(cycles)
    requests = {cycles + 3, 2 * cycles + 10, 2 * cycles + 10 + max(1, cycles // 2)}
    seen = []

    async def bench(ctx):
        for n in range(4 * cycles + 20):
            ctx.set(dut.request, n in requests)
            _, _, reset = await ctx.tick().sample(dut.reset)
            seen.append(reset)

    simulate(dut, bench)
    starts = [-1, *sorted(requests)]
    for n, reset in enumerate(seen):
        assert reset == any(start < n <= start + cycles for start in starts), n
