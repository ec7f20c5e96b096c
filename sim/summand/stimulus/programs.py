"""Random command streams that use every operation and read no undefined memory."""

import dataclasses

import numpy as np
import numpy.typing as npt

from summand.isa import EngineConfig
from summand.isa.commands import Cast, Fence, Gemm, Requantise, Store
from summand.isa.limits import MULT, PLANES, SHIFT
from summand.isa.segments import Segment
from summand.isa.walks import group_slices, scale_beats
from summand.stimulus import draws
from summand.stimulus.builder import ProgramBuilder, TestProgram
from summand.stimulus.values import plane_words, signed_values
from summand.stimulus.weights import segment_bytes

__all__ = ["random_program"]


def random_program(
    rng: np.random.Generator, config: EngineConfig, *, commands: int = 24, max_words: int = 64
) -> TestProgram:
    """Return a program of ``commands`` random commands; a STORE and a FENCE end it.

    It reads no memory that it has not written, so it means the same after power-up and after a
    reset, and no two segments of a GEMM share a tile. Every field is often the least or the most
    that it can be. A STORE, a REQUANTISE or a CAST that still goes on in the background is often
    met by the next command, at the edges of its tiles or slices. Weights and activations are often
    at the corners of their range, requantised values about as often within it as at its ends.
    Padding is noise.

    Parameters
    ----------
    commands : int
        Commands before the ending ones.
    max_words : int
        Plane words of one GEMM at most (or one slice of one plane of one tile). A LOAD has eight
        times as many beats at most (or one slice of each row), a STORE as many tiles.
    """
    return _RandomProgram(rng, config, max_words).build(commands)


class _RandomProgram:
    def __init__(self, rng: np.random.Generator, config: EngineConfig, max_words: int):
        self._rng = rng
        self._config = config
        self._max_words = max_words
        self._max_beats = 8 * max_words
        self._builder = ProgramBuilder(config, padding=rng)
        # What has been written: activations, and accumulators by tile.
        self._act = np.zeros((config.rows, config.act_depth * config.depth), bool)
        self._acc = np.zeros((config.rows, config.acc_depth), bool)
        self._operand = np.zeros((config.operand_depth, config.depth), bool)  # lanes of words
        self._words = np.zeros(config.operand_depth, bool)  # of which some lanes have been written
        self._last_cast: Cast | None = None
        # Tiles that the last command may still read, slices that it may still write: first, end.
        self._draining: tuple[int, int] | None = None
        self._landing: tuple[int, int] | None = None

    def build(self, commands: int) -> TestProgram:
        steps = [self._load, self._gemm, self._gemm, self._requantise, self._store, self._fence]
        meeting = steps[:3]  # what can meet the job in the background
        if self._config.operand_depth:
            steps += [self._cast, self._cast, self._stored, self._stored]
            meeting += [self._stored, self._stored]
        self._load()
        self._gemm()
        for _ in range(commands - 2):
            step = steps[self._rng.integers(len(steps))]
            if (self._draining or self._landing) and self._rng.random() < 0.5:
                step = meeting[self._rng.integers(len(meeting))]
            step()
        self._store()
        self._fence()
        return self._builder.finish()

    def _rows(self, most: int) -> int:
        """Return a number of rows up to ``most``, often all of them."""
        return most if self._rng.random() < 0.5 else draws.between(self._rng, 1, most)

    def _beside(self, edges: tuple[int, int] | None, limit: int) -> int | None:
        """Return a place within ``edges`` or beside them, below ``limit``; often at an end.

        Return None by chance, and if nothing goes on in the background.
        """
        if edges is None or self._rng.random() < 0.2:
            return None
        low, high = edges
        inside = int(self._rng.integers(low, high))
        places = [low - 1, low, inside, high - 1, high - 1, high]  # the last place is reached last
        return min(max(0, int(self._rng.choice(places))), limit - 1)

    def _load(self) -> None:
        cfg, rng = self._config, self._rng
        rows = self._rows(cfg.rows)
        longest = max(1, self._max_beats // (rows * cfg.slice_words))
        first, slices = draws.span(rng, cfg.act_depth, longest)
        met = self._beside(self._landing, cfg.act_depth)
        if met is not None:
            first, slices = met, min(slices, cfg.act_depth - met)
        values = signed_values(rng, cfg.act_bits, rows * slices * cfg.depth)
        if rng.random() < 0.5:  # noise in the bits that are ignored
            values += rng.integers(-4, 4, values.size) << cfg.act_bits
        self._builder.load(first, values.reshape(rows, -1).astype(np.int64))
        self._act[:rows, first * cfg.depth : (first + slices) * cfg.depth] = True
        self._draining = self._landing = None

    def _gemm(self) -> None:
        cfg, rng = self._config, self._rng
        first, slices = self._readable_slices()
        if rng.random() < 0.25:  # as many tiles as possible, because reading them takes long
            slices, segments = 1, (self._widest_segment(),)
        else:
            segments = self._segments(slices, self._max_words)
        group = draws.group(rng, cfg, slices)
        borders = draws.borders(rng, cfg, slices)
        if borders and borders[0].slice == 0:  # in place of the shift flags
            segments = tuple(dataclasses.replace(s, shift=False) for s in segments)
        k = slice(first * cfg.depth, (first + slices) * cfg.depth)
        # Weights are zero where some of the first rows have nothing to multiply.
        live = self._act[: self._rows(cfg.rows), k].all(axis=0)
        words = segment_bytes(rng, segments, live.reshape(slices, cfg.depth), cfg)
        payload, done = [], 0
        for count in group_slices(slices, group):
            payload.append(self._scales(scale_beats(segments, cfg)))
            payload.append(words[done : done + count].tobytes())
            done += count
        gemm = Gemm(first, slices, segments, group, borders)
        self._builder.gemm(gemm, b"".join(payload))
        loaded = self._act[:, k]
        fed = np.asarray((loaded | ~live).all(axis=1))
        whole = np.asarray(loaded.all(axis=1))  # no half-step weight is zero
        for s in segments:
            tiles = self._acc[:, s.tile : s.tile + s.tiles]
            tiles[:] = (whole if s.half_step else fed)[:, None] & (tiles | s.clear)
        self._draining = self._landing = None

    def _stored(self) -> None:
        """Add a GEMM over words of the operand memory, often after a LOAD for it.

        Activations are zero where a word's lane was not written, or the row's results are not read.
        """
        cfg, rng = self._config, self._rng
        if not self._words.any():
            return
        last = self._last_cast.to_word if self._last_cast and rng.random() < 0.7 else None
        first_word, longest = _run(rng, self._words, last, self._max_words)
        first, slices = self._readable_slices()
        slices = min(slices, longest)
        segments = tuple(
            dataclasses.replace(s, scaled=False, kept=0) for s in self._segments(slices, longest)
        )
        borders = draws.borders(rng, cfg, slices)
        if borders and borders[0].slice == 0:
            segments = tuple(dataclasses.replace(s, shift=False) for s in segments)
        gemm = Gemm(first, slices, segments, borders=borders, from_word=first_word)
        words = self._operand[first_word : first_word + slices * gemm.words]
        live = words.reshape(slices, gemm.words, cfg.depth).all(axis=1).reshape(-1)
        k = slice(first * cfg.depth, (first + slices) * cfg.depth)
        if rng.random() < 0.5:
            rows = self._rows(cfg.rows)
            values = signed_values(rng, cfg.act_bits, rows * len(live)).reshape(rows, -1)
            self._builder.load(first, (values * live).astype(np.int64))
            self._act[:rows, k] = True
        zero = self._builder.engine.activations[:, k] == 0
        fed = np.asarray((self._act[:, k] & (zero | live)).all(axis=1))
        self._builder.gemm(gemm, b"")
        for s in segments:
            tiles = self._acc[:, s.tile : s.tile + s.tiles]
            tiles[:] = fed[:, None] & (tiles | s.clear)
        self._draining = self._landing = None

    def _scales(self, beats: int) -> bytes:
        """Return random scales, some all 0 and some all 1; the rest of a beat is noise."""
        return plane_words(self._rng, (beats, self._config.beat_bytes)).tobytes()

    def _readable_slices(self) -> tuple[int, int]:
        """Return a span of slices, most often one of which row 0 is defined somewhere."""
        cfg, rng = self._config, self._rng
        words = self._act[0].reshape(cfg.act_depth, cfg.depth)
        some = np.asarray(words.any(axis=1))
        met = self._beside(self._landing, cfg.act_depth)
        first, longest = _run(rng, some, met, self._max_words)
        return first, draws.between(rng, 1, longest)

    def _segments(self, slices: int, most: int) -> tuple[Segment, ...]:
        """Return ascending segments of at most ``most`` plane words in all slices, or one each."""
        cfg, rng = self._config, self._rng
        words = max(1, most // slices)
        count = draws.segment_count(rng)
        met = self._beside(self._draining, cfg.acc_depth)
        tile = met if met is not None else int(rng.choice([0, 0, int(rng.integers(cfg.acc_depth))]))
        segments: list[Segment] = []
        while len(segments) < count and words and tile < cfg.acc_depth:
            others = count - len(segments) - 1  # a tile and a word for each, if there are as many
            room = max(1, cfg.acc_depth - tile - others)
            spare = max(1, words - others)
            planes = draws.between(rng, 1, min(8, spare))
            tiles = draws.between(rng, 1, min(spare // planes, room))
            segments.append(self._segment(tile, tiles, planes))
            words -= tiles * planes
            gap = room - tiles if rng.random() < 0.1 else int(rng.choice([0, 0, 1]))
            tile += tiles + min(max(0, gap), room - tiles)
        return tuple(segments)

    def _widest_segment(self) -> Segment:
        tiles = min(self._config.acc_depth, self._max_words)
        planes = draws.between(self._rng, 1, min(8, self._max_words // tiles))
        return self._segment(
            int(self._rng.choice([0, self._config.acc_depth - tiles])), tiles, planes
        )

    def _segment(self, tile: int, tiles: int, planes: int) -> Segment:
        """Return a segment with random flags; it clears tiles that were not written."""
        cfg, rng = self._config, self._rng
        kept = self._acc[:, tile : tile + tiles].all(axis=1).any()
        half_step = bool(cfg.half_steps and rng.random() < 0.5)
        sparse = bool(cfg.sparse_block and not half_step and rng.random() < 0.6)
        return Segment(
            tile=tile,
            tiles=tiles,
            planes=planes,
            clear=bool(not kept or rng.random() < 0.3),
            shift=bool(cfg.shift and rng.random() < 0.3),
            scaled=bool(cfg.scale_bits and rng.random() < 0.5),
            half_step=half_step,
            kept=draws.between(rng, 1, cfg.sparse_block - 1) if sparse else 0,
        )

    def _defined_tiles(self, longest: int) -> tuple[int, int, int] | None:
        """Return a random ``(tile, tiles, rows)`` whose accumulators are defined, if any are."""
        rng = self._rng
        if not self._acc[0].any():
            return None
        rows = self._rows(self._config.rows)
        some = np.asarray(self._acc[:rows].all(axis=0))
        if not some.any():
            rows, some = 1, self._acc[0]
        tile, run = _run(rng, some, None, min(longest, max(1, self._max_beats // rows)))
        return tile, draws.between(rng, 1, run), rows

    def _requantise(self) -> None:
        cfg, rng = self._config, self._rng
        room = min(cfg.requant_depth, cfg.act_depth * cfg.depth) // cfg.cols
        span = self._defined_tiles(room) if room else None
        if span is None:
            return
        tile, tiles, rows = span
        features = tiles * cfg.cols
        elems = -(-features // cfg.beat_elems) * cfg.beat_elems
        slices = -(-elems // cfg.depth)
        to_slice = draws.between(rng, 0, cfg.act_depth - slices)
        acc = self._builder.engine.accumulators[:rows, tile * cfg.cols :][:, :features]
        mult, shift = _requantisation(rng, acc, cfg.act_bits)
        self._builder.requantise(Requantise(tile, tiles, rows, to_slice), mult, shift)
        first = to_slice * cfg.depth
        self._act[:rows, first : first + elems] = True
        self._draining, self._landing = (tile, tile + tiles), (to_slice, to_slice + slices)

    def _cast(self) -> None:
        cfg, rng = self._config, self._rng
        span = self._defined_tiles(cfg.requant_depth // cfg.cols)
        if span is None:
            return
        tile, tiles, rows = span
        rows = min(rows, cfg.depth)
        planes = draws.between(rng, *PLANES)
        tiles = min(tiles, cfg.operand_depth // planes)
        lane = draws.between(rng, 0, cfg.depth - rows)
        to_word = draws.between(rng, 0, cfg.operand_depth - tiles * planes)
        last = self._last_cast
        if last and rng.random() < 0.7:  # the next rows of the same slice, or of the next
            tiles, planes = min(tiles, last.tiles), last.planes
            lane, to_word = last.lane + last.rows, last.to_word
            if lane + rows > cfg.depth:
                lane, to_word = 0, last.to_word + last.words
            to_word = min(to_word, cfg.operand_depth - tiles * planes)
        cast = self._last_cast = Cast(tile, tiles, rows, planes, to_word, lane)
        acc = self._builder.engine.accumulators[:rows, tile * cfg.cols :][:, : tiles * cfg.cols]
        self._builder.requantise(cast, *_requantisation(rng, acc, planes))
        self._operand[to_word : to_word + cast.words, lane : lane + rows] = True
        self._words[to_word : to_word + cast.words] = True
        self._draining, self._landing = (tile, tile + tiles), None

    def _store(self) -> None:
        span = self._defined_tiles(self._config.acc_depth)
        if span is not None:
            tile, tiles, rows = span
            extremes, tiles = draws.extremes(self._rng, self._config, tiles)
            limbs = 0 if extremes else draws.limbs(self._rng, self._config)
            tag = draws.tag(self._rng)
            self._builder.store(Store(tile, tiles, rows, tag, limbs, extremes))
            self._draining, self._landing = (tile, tile + tiles), None

    def _fence(self) -> None:
        self._builder.fence(Fence(draws.tag(self._rng)))
        self._draining = self._landing = None


def _run(
    rng: np.random.Generator, some: npt.NDArray[np.bool_], start: int | None, longest: int
) -> tuple[int, int]:
    """Return where a run of ``some`` begins, and how long it is up to ``longest``.

    It begins at ``start`` if that is one of them, else at any of them, often where none is before.
    """
    if start is None or not some[start]:
        heads = np.flatnonzero(some & ~np.append(False, some[:-1]))
        start = int(rng.choice(heads if rng.random() < 0.5 else np.flatnonzero(some)))
    length = int(np.argmin(np.append(some[start:], False)))
    return start, min(length, longest)


def _requantisation(
    rng: np.random.Generator, acc: npt.NDArray[np.integer], bits: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return ``mult`` and ``shift`` that bring most columns near the ends of the range."""
    columns = acc.shape[1]
    mult = rng.integers(0, MULT.high + 1, columns)
    corner = rng.random(columns)
    mult[corner < 0.1] = MULT.high
    mult[corner > 0.95] = 0
    peak = np.abs(acc.astype(np.int64)).max(axis=0) * mult
    fitting = np.log2(np.maximum(peak, 1)).astype(np.int64) - bits + rng.integers(0, 4, columns)
    anything = rng.choice(np.array([1, 2, 24, SHIFT.high - 1, SHIFT.high]), columns)
    shift = np.where(rng.random(columns) < 0.8, fitting, anything)
    return mult, np.clip(shift, SHIFT.low, SHIFT.high)
