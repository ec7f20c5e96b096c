"""Random command streams that use every operation and read no undefined memory."""

import numpy as np
import numpy.typing as npt

from summand.golden.builder import Program, ProgramBuilder
from summand.golden.stimulus import plane_words, signed_values
from summand.isa import EngineConfig
from summand.isa.ops import MAX_SEGMENTS, Segment, group_slices, scale_beats

__all__ = ["Program", "random_program"]


def random_program(
    rng: np.random.Generator, config: EngineConfig, *, commands: int = 24, max_words: int = 64
) -> Program:
    """Return a program of ``commands`` random commands; a STORE and a FENCE end it.

    It reads no memory that it has not written, so it means the same after power-up and after a
    reset, and no two segments of a GEMM share a tile. Weights and activations are heavy in
    corners, requantisation hits its range as often as its ends, and padding is noise.

    Parameters
    ----------
    commands : int
        Commands before the ending ones.
    max_words : int
        Plane words of one GEMM at most (or one slice of one plane of one tile).
    """
    return _RandomProgram(rng, config, max_words).build(commands)


class _RandomProgram:
    def __init__(self, rng: np.random.Generator, config: EngineConfig, max_words: int):
        self._rng = rng
        self._config = config
        self._max_words = max_words
        self._builder = ProgramBuilder(config, padding=rng)
        # What has been written: activations, and accumulators by tile.
        self._act = np.zeros((config.rows, config.act_depth * config.depth), bool)
        self._acc = np.zeros((config.rows, config.acc_depth), bool)

    def build(self, commands: int) -> Program:
        steps = [self._load, self._gemm, self._gemm, self._requantise, self._store, self._fence]
        self._load()
        self._gemm()
        for _ in range(commands - 2):
            steps[self._rng.integers(len(steps))]()
        self._store()
        self._builder.fence(int(self._rng.integers(1 << 16)))
        return self._builder.finish()

    def _span(self, limit: int, longest: int) -> tuple[int, int]:
        """Return a random ``(start, count)`` within ``limit``, the ends often."""
        count = int(self._rng.integers(1, min(limit, longest) + 1))
        corners = (0, limit - count, int(self._rng.integers(limit - count + 1)))
        return corners[self._rng.integers(3)], count

    def _rows(self) -> int:
        return int(self._rng.integers(1, self._config.rows + 1))

    def _load(self) -> None:
        cfg, rng = self._config, self._rng
        first, slices = self._span(cfg.act_depth, 4)
        rows = cfg.rows if rng.random() < 0.6 else self._rows()
        values = signed_values(rng, cfg.act_bits, rows * slices * cfg.depth)
        if rng.random() < 0.5:  # noise in the bits that are ignored
            values += rng.integers(-4, 4, values.size) << cfg.act_bits
        self._builder.load(first, values.reshape(rows, -1).astype(np.int64))
        self._act[:rows, first * cfg.depth : (first + slices) * cfg.depth] = True

    def _gemm(self) -> None:
        cfg, rng = self._config, self._rng
        first, slices = self._readable_slices()
        segments = self._segments(slices)
        group = int(rng.integers(slices + 2)) if cfg.scale_bits else 0
        k = slice(first * cfg.depth, (first + slices) * cfg.depth)
        # Weights are zero where some of the first rows have nothing to multiply.
        live = self._act[: self._rows(), k].all(axis=0)
        shape = (slices * sum(s.words for s in segments), cfg.cols * cfg.depth // 8)
        mask = np.packbits(live.reshape(slices, cfg.depth), axis=1, bitorder="little")
        mask = np.tile(mask, (1, cfg.cols))
        words = plane_words(rng, shape).reshape(slices, -1, shape[1]) & mask[:, None]
        payload, done = [], 0
        for count in group_slices(slices, group):
            payload.append(self._scales(scale_beats(segments, cfg)))
            payload.append(words[done : done + count].tobytes())
            done += count
        self._builder.gemm(first, slices, segments, b"".join(payload), group=group)
        fed = np.asarray((self._act[:, k] | ~live).all(axis=1))
        for s in segments:
            tiles = self._acc[:, s.tile : s.tile + s.tiles]
            tiles[:] = fed[:, None] & (tiles | s.clear)

    def _scales(self, beats: int) -> bytes:
        """Return random scales, some all 0 and some all 1; what fills up a beat is noise."""
        return plane_words(self._rng, (beats, self._config.beat_bytes)).tobytes()

    def _readable_slices(self) -> tuple[int, int]:
        """Return a span of slices, most often one of which row 0 is defined somewhere."""
        cfg = self._config
        words = self._act[0].reshape(cfg.act_depth, cfg.depth)
        some = np.asarray(words.any(axis=1))
        first = int(self._rng.choice(np.flatnonzero(some)))
        longest = 1
        while first + longest < cfg.act_depth and some[first + longest]:
            longest += 1
        return first, int(self._rng.integers(1, min(longest, 5) + 1))

    def _segments(self, slices: int) -> tuple[Segment, ...]:
        """Return ascending segments within the limit on plane words."""
        cfg, rng = self._config, self._rng
        words = max(1, self._max_words // slices)
        count = int(rng.choice([1, 1, 2, 3, MAX_SEGMENTS]))
        tile = int(rng.integers(cfg.acc_depth)) if rng.random() < 0.5 else 0
        segments: list[Segment] = []
        while len(segments) < count and words and tile < cfg.acc_depth:
            planes = int(rng.integers(1, min(8, words) + 1))
            tiles = int(rng.integers(1, min(words // planes, cfg.acc_depth - tile, 6) + 1))
            kept = self._acc[:, tile : tile + tiles].any()
            segments.append(
                Segment(
                    tile=tile,
                    tiles=tiles,
                    planes=planes,
                    clear=bool(not kept or rng.random() < 0.3),
                    shift=bool(cfg.shift and rng.random() < 0.3),
                    scaled=bool(cfg.scale_bits and rng.random() < 0.5),
                )
            )
            words -= tiles * planes
            tile += tiles + int(rng.choice([0, 0, 1]))
        return tuple(segments)

    def _defined_tiles(self, longest: int) -> tuple[int, int, int] | None:
        """Return a random ``(tile, tiles, rows)`` whose accumulators are defined, if any are."""
        cfg = self._config
        defined = np.flatnonzero(self._acc[0])
        if not len(defined):
            return None
        tile = int(self._rng.choice(defined))
        tiles = 1
        while tiles < longest and tile + tiles < cfg.acc_depth:
            if not self._acc[0, tile + tiles] or self._rng.random() < 0.1:
                break
            tiles += 1
        good = self._acc[:, tile : tile + tiles].all(axis=1)
        rows = cfg.rows if good.all() else int(np.argmin(good))
        if self._rng.random() < 0.3:
            rows = int(self._rng.integers(1, rows + 1))
        return tile, tiles, rows

    def _requantise(self) -> None:
        cfg, rng = self._config, self._rng
        room = min(cfg.requant_depth, cfg.act_depth * cfg.depth) // cfg.cols
        span = self._defined_tiles(min(room, 8)) if room else None
        if span is None:
            return
        tile, tiles, rows = span
        features = tiles * cfg.cols
        elems = -(-features // cfg.beat_elems) * cfg.beat_elems
        slices = -(-elems // cfg.depth)
        to_slice, _ = self._span(cfg.act_depth - slices + 1, 1)
        acc = self._builder.engine.accumulators[:rows, tile * cfg.cols :][:, :features]
        mult, shift = _requantisation(rng, acc, cfg.act_bits)
        self._builder.requantise(tile, rows, to_slice, mult, shift)
        first = to_slice * cfg.depth
        self._act[:rows, first : first + elems] = True

    def _store(self) -> None:
        span = self._defined_tiles(12)
        if span is not None:
            tile, tiles, rows = span
            self._builder.store(tile, tiles, rows, int(self._rng.integers(1 << 16)))

    def _fence(self) -> None:
        self._builder.fence(int(self._rng.integers(1 << 16)))


def _requantisation(
    rng: np.random.Generator, acc: npt.NDArray[np.integer], act_bits: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return ``mult`` and ``shift`` that bring most columns near the ends of the range."""
    columns = acc.shape[1]
    mult = rng.integers(0, 1 << 16, columns)
    corner = rng.random(columns)
    mult[corner < 0.1] = 0xFFFF
    mult[corner > 0.95] = 0
    peak = np.abs(acc.astype(np.int64)).max(axis=0) * mult
    fitting = np.log2(np.maximum(peak, 1)).astype(np.int64) - act_bits + rng.integers(0, 4, columns)
    anything = rng.choice(np.array([1, 2, 24, 46, 47]), columns)
    shift = np.where(rng.random(columns) < 0.8, fitting, anything)
    return mult, np.clip(shift, 1, 47)
