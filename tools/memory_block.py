"""A block of a model on a board with its memory, simulated as it is built.

    summand compress smollm2 -o build/smollm2 --bits 4
    python tools/memory_block.py build/smollm2 [--block 14] [--board ecpix5-85f --alone 0.4644]

The block's weights are uploaded over the link once and played from the memory: LiteDRAM's
controller on its model of PHY and memory, player, engine and link, in the native simulator. Prints
for each group of layers whether all results of a token are the golden model's; how many beats a
cycle the engine was given within a PLAY, and with the wait before its first beat; and what share
that is of what the controller gives alone (docs/memory.md has it). Takes minutes.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from summand.boards.library import find_board
from summand.model import SummandModel
from summand.model.engine import engine_of
from summand.runtime import Driver, GoldenDevice, Program, compile_layers
from summand.runtime.simulated import open_simulated_board
from summand.verilated.line import SimLine


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--block", type=int, default=14)
    parser.add_argument("--board", default="ecpix5-85f")
    parser.add_argument("--stream-bits", type=int, default=128)
    parser.add_argument("--alone", type=float, default=0.4644, help="beats a cycle")
    given = parser.parse_args()
    source = SummandModel(given.folder)
    config = replace(engine_of(source.manifest), stream_bits=given.stream_bits)
    groups = [g for g in source.groups if f".{given.block}." in g[0]]
    if not groups:
        sys.exit(f"{given.folder} has no block {given.block}")
    layers = {layer.name: layer for layer in source.layers()}
    programs = [compile_layers([layers[n] for n in g], config, held=True) for g in groups]
    board = find_board(given.board)

    def tell(text: str) -> None:
        sys.stderr.write(text + "\n")

    device, line = open_simulated_board(board, config, record=True, progress=tell)
    with Driver(device) as driver, Driver(GoldenDevice(config)) as golden:
        start, cycles = time.monotonic(), line.cycles
        sent = driver.hold(programs)
        spent = line.cycles - cycles
        sys.stdout.write(f"uploaded {sent:,} bytes in {spent:,} cycles of {board.name}\n")
        rng = np.random.default_rng(given.block)
        for program in programs:
            xq = rng.integers(config.act_min, config.act_max + 1, (1, program.in_features))
            before = len(line.beats)
            got, want = driver.run(program, xq), golden.run(program, xq)
            same = all(np.array_equal(a, b) for a, b in zip(got.outputs, want.outputs, strict=True))
            within, waited = _rates(program, line, before)
            sys.stdout.write(
                f"{program.name}: {'equal' if same else 'DIFFERS'}, "
                f"{within:.4f} beats a cycle ({within / given.alone:.2%} of alone), "
                f"{waited:.4f} with the wait before them ({waited / given.alone:.2%})\n"
            )
        sys.stderr.write(f"{time.monotonic() - start:.0f} s\n")


def _rates(program: Program, line: SimLine, first: int) -> tuple[float, float]:
    """Return the beats a cycle of a call's PLAYs, without and with the wait before each."""
    config = program.config
    taken = line.beats[first:].astype(np.int64)
    # The driver's reset, where there was one, sends a STORE and a FENCE before the call.
    plays, end = _plays(program)
    extra = len(taken) - end - config.header_beats
    beats = within = waited = 0
    for start, stop in plays:
        a, b = extra + start, extra + stop
        beats += stop - start
        within += int(taken[b - 1] - taken[a]) + 1
        waited += int(taken[b - 1] - taken[a - 1])
    return beats / within, beats / waited


def _plays(program: Program) -> tuple[list[tuple[int, int]], int]:
    """Return where payloads lie in the stream of a token's call, and its length, in beats."""
    config, at, found = program.config, 0, []
    (batch,) = program.schedule(1)
    for step, command in zip(batch.steps, batch.commands(), strict=True):
        at += len(command.encode(config)) // config.beat_bytes
        beats = command.payload_beats(config)
        if step.payload:
            found.append((at, at + beats))
        at += beats
    return found, at


if __name__ == "__main__":
    main()
