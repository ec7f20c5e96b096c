"""An engine of Python's integers, one bit and one number at a time."""

import struct

from summand.isa import EngineConfig


class Refused(Exception):
    pass


class Waiting(Exception):
    """Raised when the stream ends within a command."""


class NaiveEngine:
    """docs/stream.md, word for word and slowly; shares no code with the golden engine."""

    def __init__(self, config: EngineConfig):
        self.cfg = config
        self.beat = config.stream_bits // 8
        self.act = [[0] * (config.act_depth * config.depth) for _ in range(config.rows)]
        self.acc = [[0] * (config.acc_depth * config.cols) for _ in range(config.rows)]
        self.operand = [0] * config.operand_depth
        self.out = b""
        self.error = 0
        self.commands = 0

    def run(self, data: bytes) -> bytes:
        """Execute a stream from reset; returns the output."""
        self.data = data
        while not self.error:
            try:
                raw = self.take(max(16, self.beat))
                self.commands += 1
                self.command(raw[:16])
            except Waiting:
                break
            except Refused as e:
                self.error = e.args[0]
                self.packet(2, 0, bytes(32))
        return self.out

    def take(self, nbytes: int) -> bytes:
        if len(self.data) < nbytes:
            raise Waiting
        head, self.data = self.data[:nbytes], self.data[nbytes:]
        return head

    def command(self, raw: bytes) -> None:
        fold = 0
        for half in struct.unpack("<8H", raw):
            fold ^= half
        require(fold == 0x53D5, 1)
        op, flags, _, length, a, b, c, d = struct.unpack("<BBHIHHHH", raw)
        do = {1: self.load, 4: self.requantise, 5: self.store, 6: self.fence}
        has_operand = self.cfg.operand_depth > 0
        require(op == 3 or op in do or (op == 2 and has_operand), 2)
        if op == 3:
            stored, borders = flags >> 7 == 1, flags & 0x7F
            require(has_operand or not stored, 3)
            require(borders <= 15 and (borders == 0 or self.cfg.border_shift > 0), 3)
            self.gemm(length, a, b, c, d, borders, stored)
            return
        if op == 2:
            self.cast(length, a, b, c % 256, c // 256, d, flags)
            return
        self.extremes = flags >> 6 if op == 5 and self.cfg.bin_tiles and flags >= 0x80 else 0
        if self.extremes:
            require(flags % 64 == 0, 3)
        elif op == 5 and self.cfg.limb_bits:
            require(flags >= 1 and (flags - 1) * self.cfg.limb_bits < self.cfg.acc_bits, 3)
            self.limbs = flags
        else:
            require(flags == 0, 3)
        do[op](length, a, b, c, d)

    def load(self, length: int, a: int, b: int, c: int, d: int) -> None:
        cfg = self.cfg
        width = 1 if cfg.act_bits <= 8 else 2
        beats = c * b * cfg.depth * width // self.beat
        require(d == 0, 3)
        require(1 <= c <= cfg.rows, 4)
        require(b >= 1 and a + b <= cfg.act_depth, 5)
        require(length == beats, 9)
        payload = self.take(length * self.beat)
        for row in range(c):
            for k in range(b * cfg.depth):
                at = (row * b * cfg.depth + k) * width
                value = int.from_bytes(payload[at : at + width], "little")
                self.act[row][a * cfg.depth + k] = signed(value, cfg.act_bits)

    def gemm(self, length: int, a: int, b: int, c: int, d: int, count: int, stored: bool) -> None:
        cfg = self.cfg
        require(d == 0 or cfg.scale_bits > 0 or stored, 3)
        require(b >= 1 and a + b <= cfg.act_depth, 5)
        require(1 <= c <= 16, 7)
        table_beats = -(-(c + count) * 8 // self.beat)
        require(length == table_beats if stored else length >= table_beats, 9)
        table = self.take(table_beats * self.beat)
        segments = []
        for n in range(c):
            tile, tiles, planes, flags, kept, zero = struct.unpack("<HHBBBB", table[8 * n :][:8])
            require(flags < 16 and zero == 0, 3)
            require(not (flags & 2 and cfg.shift == 0), 3)
            require(not (flags & 4 and cfg.scale_bits == 0), 3)
            require(not (flags & 8 and not cfg.half_steps), 3)
            require(not (stored and (flags & 4 or kept)), 3)
            require(kept == 0 or (kept < cfg.sparse_block and not flags & 8), 3)
            after = segments[-1][0] + segments[-1][1] if segments else 0
            require(tiles >= 1 and after <= tile and tile + tiles <= cfg.acc_depth, 6)
            require(1 <= planes <= 8, 7)
            segments.append((tile, tiles, planes, flags, kept))
        borders: dict[int, int] = {}
        for n in range(c, c + count):
            place, shift, *zeros = struct.unpack("<HBBI", table[8 * n : 8 * n + 8])
            require(1 <= shift <= cfg.border_shift and zeros == [0, 0], 3)
            require(all(place > other for other in borders) and place < b, 3)
            require(place > 0 or not any(s[3] & 2 for s in segments), 3)
            borders[place] = shift
        if stored:
            size = sum(tiles * planes for _, tiles, planes, _, _ in segments)
            require(d + b * size <= cfg.operand_depth, 10)
            word_bytes = cfg.cols * cfg.depth // 8
            held = self.operand[d : d + b * size]
            self.data = b"".join(w.to_bytes(word_bytes, "little") for w in held) + self.data
            length += b * size * word_bytes // self.beat
            d = 0
        need = b * sum(self.segment_beats(*s) for s in segments)
        starts = range(0, b, d or b)  # of groups
        scaled = sum(s[1] for s in segments if s[3] & 4)
        per_beat = cfg.stream_bits // (cfg.cols * cfg.scale_bits) if scaled else 1
        beats: list[int] = []  # of the group's scales
        if scaled:
            need += len(starts) * -(-scaled // per_beat)
        words = self.take(min(length - table_beats, need) * self.beat)
        require(length == table_beats + need, 9)
        for s in range(b):
            if scaled and s in starts:
                beats.clear()
                for _ in range(-(-scaled // per_beat)):
                    beats.append(int.from_bytes(words[: self.beat], "little"))
                    words = words[self.beat :]
            turn = 0
            for tile, tiles, planes, flags, kept in segments:
                size = self.segment_beats(tile, tiles, planes, flags, kept) * self.beat
                bits = int.from_bytes(words[:size], "little")
                words = words[size:]
                for t in range(tile, tile + tiles):
                    taken, bits = self.planes(bits, planes, kept)
                    scale = [1] * cfg.cols
                    if flags & 4:
                        packed = (
                            beats[turn // per_beat] >> turn % per_beat * len(scale) * cfg.scale_bits
                        )
                        for n in range(cfg.cols):
                            scale[n] = packed % 2**cfg.scale_bits
                            packed >>= cfg.scale_bits
                        turn += 1
                    moved = cfg.shift if flags & 2 and s == 0 else borders.get(s, 0)
                    clear = flags & 1 and s == 0
                    self.tile(a + s, t, taken, flags, 0 if clear else 2**moved, scale)

    def index_chunks(self, kept: int) -> tuple[str, int]:
        block = self.cfg.sparse_block
        place_bits = block.bit_length() - 1
        costs = {
            "mask": block,
            "positions": kept * place_bits,
            "holes": (block - kept) * place_bits,
        }
        return min(costs.items(), key=lambda item: item[1])

    def segment_beats(self, tile: int, tiles: int, planes: int, flags: int, kept: int) -> int:
        word = self.cfg.cols * self.cfg.depth
        if not kept:
            return tiles * planes * word // 8 // self.beat
        chunks = tiles * (self.index_chunks(kept)[1] + planes * kept)
        return -(-chunks * word // self.cfg.sparse_block // (8 * self.beat))

    def planes(self, bits: int, planes: int, kept: int) -> tuple[list[int], int]:
        """Take a tile's weights from the lowest bits; returns its plane words and the rest."""
        word = self.cfg.cols * self.cfg.depth
        if not kept:
            return [
                bits >> p * word & ((1 << word) - 1) for p in range(planes)
            ], bits >> planes * word
        block = self.cfg.sparse_block
        size = word // block
        form, index_chunks = self.index_chunks(kept)
        out = [0] * planes
        for lane in range(size):
            at = range(lane, (index_chunks + planes * kept) * size, size)
            lane_bits = [bits >> n & 1 for n in at]
            index, values = lane_bits[:index_chunks], lane_bits[index_chunks:]
            if form == "mask":
                chosen = [place for place in range(block) if index[place]]
            else:
                width = block.bit_length() - 1
                named = [
                    sum(bit << b for b, bit in enumerate(index[f : f + width]))
                    for f in range(0, index_chunks, width)
                ]
                chosen = [n for n in range(block) if (n in named) == (form == "positions")]
            for rank, place in enumerate(chosen[:kept]):
                for p in range(planes):
                    out[p] |= values[p * kept + rank] << (lane * block + place)
        return out, bits >> (index_chunks + planes * kept) * size

    def tile(
        self,
        s: int,
        t: int,
        plane: list[int],
        flags: int,
        keep: int,
        scale: list[int],
    ) -> None:
        cfg = self.cfg
        for row in range(cfg.rows):
            x = self.act[row][s * cfg.depth : (s + 1) * cfg.depth]
            for c in range(cfg.cols):
                total = 0
                for d in range(cfg.depth):
                    weight = 0
                    for word in plane:
                        weight = 2 * weight + (word >> (c * cfg.depth + d) & 1)
                    weight = signed(weight, len(plane))
                    total += x[d] * (2 * weight + 1 if flags & 8 else weight)
                n = t * cfg.cols + c
                value = keep * self.acc[row][n] + scale[c] * total
                self.acc[row][n] = signed(value, cfg.acc_bits)

    def requantise(self, length: int, a: int, b: int, c: int, d: int) -> None:
        cfg = self.cfg
        features = b * cfg.cols
        per_word = cfg.stream_bits // (8 if cfg.act_bits <= 8 else 16)
        filled = -(-features // per_word) * per_word
        require(1 <= c <= cfg.rows, 4)
        require(b >= 1 and a + b <= cfg.acc_depth and features <= cfg.requant_depth, 6)
        require(d * cfg.depth + filled <= cfg.act_depth * cfg.depth, 5)
        require(length == -(-features * 4 // self.beat), 9)
        payload = self.take(length * self.beat)
        entries = [struct.unpack("<HBB", payload[4 * n : 4 * n + 4]) for n in range(features)]
        require(all(1 <= shift <= 47 and zero == 0 for _, shift, zero in entries), 8)
        top = 2 ** (cfg.act_bits - 1)
        for row in range(c):
            out = [0] * filled
            for n, (mult, shift, _) in enumerate(entries):
                value = self.acc[row][a * cfg.cols + n] * mult + 2 ** (shift - 1)
                out[n] = max(-top, min(top - 1, value // 2**shift))
            self.act[row][d * cfg.depth : d * cfg.depth + filled] = out

    def cast(self, length: int, a: int, b: int, rows: int, planes: int, d: int, lane: int) -> None:
        cfg = self.cfg
        features = b * cfg.cols
        require(1 <= rows <= cfg.rows, 4)
        require(b >= 1 and a + b <= cfg.acc_depth and features <= cfg.requant_depth, 6)
        require(1 <= planes <= 8 and lane + rows <= cfg.depth, 10)
        require(d + b * planes <= cfg.operand_depth, 10)
        require(length == -(-features * 4 // self.beat), 9)
        payload = self.take(length * self.beat)
        entries = [struct.unpack("<HBB", payload[4 * n : 4 * n + 4]) for n in range(features)]
        require(all(1 <= shift <= 47 and zero == 0 for _, shift, zero in entries), 8)
        top = 2 ** (planes - 1)
        for row in range(rows):
            for n, (mult, shift, _) in enumerate(entries):
                value = self.acc[row][a * cfg.cols + n] * mult + 2 ** (shift - 1)
                q = max(-top, min(top - 1, value // 2**shift))
                tile, column = divmod(n, cfg.cols)
                for p in range(planes):
                    at = d + tile * planes + planes - 1 - p
                    bit = 1 << column * cfg.depth + lane + row
                    self.operand[at] = self.operand[at] & ~bit | bit * (q >> p & 1)

    def store(self, length: int, a: int, b: int, c: int, d: int) -> None:
        cfg = self.cfg
        require(1 <= c <= cfg.rows, 4)
        require(b >= 1 and a + b <= cfg.acc_depth, 6)
        require(not self.extremes or b % cfg.bin_tiles == 0, 6)
        require(length == 0, 9)
        values = [v for row in range(c) for v in self.acc[row][a * cfg.cols : (a + b) * cfg.cols]]
        if self.extremes:
            payload, size = b"", cfg.bin_tiles * cfg.cols
            for at in range(0, len(values), size):
                here = list(enumerate(values[at : at + size]))
                for _ in range(2):
                    best = here[0]
                    for place, value in here:
                        if value < best[1] if self.extremes == 3 else value > best[1]:
                            best = place, value
                    here.remove(best)
                    payload += struct.pack("<iHH", best[1], best[0], 0)
                payload += bytes(-len(payload) % self.beat)
            self.packet(1, d, payload)
            return
        if not cfg.limb_bits:
            self.packet(1, d, struct.pack(f"<{len(values)}i", *values))
            return
        bits, at = 0, 0
        for tile in range(0, len(values), cfg.cols):
            for limb in range(self.limbs):
                for value in values[tile : tile + cfg.cols]:
                    bits |= (value >> limb * cfg.limb_bits) % 2**cfg.limb_bits << at
                    at += cfg.limb_bits
        self.packet(1, d, bits.to_bytes(-(-at // 8), "little"))

    def fence(self, length: int, a: int, b: int, c: int, d: int) -> None:
        require(b == c == d == 0, 3)
        require(length == 0, 9)
        self.packet(2, a, bytes(32))

    def packet(self, kind: int, tag: int, payload: bytes) -> None:
        payload += bytes(-len(payload) % self.beat)
        fields = (kind, self.error, tag, len(payload) // self.beat, self.commands - 1, 0)
        header = struct.pack("<BBHIII", *fields)
        self.out += header + bytes(-16 % self.beat) + payload


def require(condition: bool, code: int) -> None:
    if not condition:
        raise Refused(code)


def signed(value: int, bits: int) -> int:
    value %= 2**bits
    return value - 2**bits if value >= 2 ** (bits - 1) else value
