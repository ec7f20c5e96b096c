import dataclasses
import random

import pytest

from summand.isa import EngineConfig, ErrorCode
from summand.isa.packets import Counters, Kind, PacketHeader
from summand.rtl.packets import PacketWriter
from summand.testing.streams import FLOWING, STALLS, Sink, Source, simulate

CONFIGS = [
    EngineConfig(cols=cols, depth=64, stream_bits=bits, act_depth=2)
    for cols, bits in ((1, 32), (1, 64), (2, 128), (4, 256), (8, 512))
]


def beats_of(raw, config):
    assert len(raw) % config.beat_bytes == 0
    return [
        int.from_bytes(raw[n : n + config.beat_bytes], "little")
        for n in range(0, len(raw), config.beat_bytes)
    ]


def random_packets(config, rng, count):
    """Return (header, counters, result beats) of some packets of both kinds."""
    packets = []
    for n in range(count):
        kind = rng.choice(list(Kind))
        results = [rng.getrandbits(config.stream_bits) for _ in range(rng.randint(1, 4))]
        length = rng.getrandbits(32)
        header = PacketHeader(
            kind, rng.choice(list(ErrorCode)), rng.getrandbits(16), length, 0xFFFF0000 + n
        )
        counters = Counters(**{f.name: rng.getrandbits(32) for f in dataclasses.fields(Counters)})
        packets.append((header, counters, results if kind == Kind.DATA else []))
    return packets


def wanted(packets, config):
    beats = []
    for header, counters, results in packets:
        mine = beats_of(header.encode(config), config)
        if header.kind == Kind.STATUS:
            raw = counters.encode()
            mine += beats_of(raw + bytes(-len(raw) % config.beat_bytes), config)
        mine += results
        beats += [(beat, n == len(mine) - 1) for n, beat in enumerate(mine)]
    return beats


def write(config, packets, *, stalls=FLOWING, seed=0, max_cycles=3000):
    """Order ``packets`` one after another, each as soon as the writer is free."""
    dut = PacketWriter(config)
    rng = random.Random(f"{seed} orders")
    results = [
        {"data": beat, "last": n == len(mine) - 1}
        for _, _, mine in packets
        for n, beat in enumerate(mine)
    ]
    source = Source(dut.results, results, p_stall=stalls.i, seed=seed)
    sink = Sink(dut.o, p_stall=stalls.o, shy=stalls.shy, seed=seed)
    orders = iter(packets)
    starts = []
    total = len(wanted(packets, config))

    async def bench(ctx):
        for cycle in range(max_cycles):
            source.before(ctx)
            sink.before(ctx)
            # Random inputs between orders: a packet keeps the values of its order.
            ctx.set(dut.orders.start, 0)
            ctx.set(dut.orders.order.as_value(), rng.getrandbits(96))
            ctx.set(dut.counters.as_value(), rng.getrandbits(256))
            if not ctx.get(dut.orders.busy) and (order := next(orders, None)):
                header, counters, _ = order
                ctx.set(dut.orders.start, 1)
                ctx.set(dut.orders.order, dataclasses.asdict(header))
                ctx.set(dut.counters, dataclasses.asdict(counters))
                starts.append(cycle)
            _, _, ready, *out = await ctx.tick().sample(*source.signals, *sink.signals)
            source.after(cycle, [ready])
            sink.after(cycle, out)
            if len(sink.beats) == total:
                assert not ctx.get(dut.orders.busy)
                return
        raise TimeoutError(f"{len(sink.beats)} of {total} beats")

    simulate(dut, bench)
    return sink, starts


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.stream_bits}bit")
@pytest.mark.parametrize("stalls", STALLS, ids=str)
def test_packets_are_what_the_dataclasses_encode(config, stalls):
    packets = random_packets(config, random.Random(5), 12)
    sink, _ = write(config, packets, stalls=stalls, seed=1)
    assert [(b.data, bool(b.last)) for b in sink.beats] == wanted(packets, config)


@pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.stream_bits}bit")
def test_no_cycle_is_lost_within_a_packet(config):
    """The first beat is valid in the cycle after the order, and each cycle moves one."""
    packets = random_packets(config, random.Random(6), 6)
    sink, starts = write(config, packets)
    at = 0
    for start, packet in zip(starts, packets, strict=True):
        count = len(wanted([packet], config))
        assert sink.arrived[at : at + count] == list(range(start + 1, start + 1 + count))
        at += count
