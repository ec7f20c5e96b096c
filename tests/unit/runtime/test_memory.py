"""Weights in a memory: the stream stays the same, and so do results."""

import numpy as np
import pytest

from summand.golden.player import GoldenPlayer
from summand.isa import EngineConfig
from summand.isa.player import PlayerError, Refusal
from summand.runtime import DeviceTimeout, Driver, GoldenDevice, compile_layers
from summand.runtime.memory.layout import EMPTY, PARTIAL, BoardMemoryError, MemoryLayout
from summand.runtime.memory.played import PlayedDevice
from summand.runtime.memory.traffic import LinkTraffic
from summand.runtime.memory.upload import upload

CONFIG = EngineConfig(
    rows=2, cols=4, depth=16, stream_bits=64, acc_depth=64, act_depth=16, requant_depth=64, shift=4
)
BEATS = 1 << 16


class Board(GoldenDevice):
    """A golden player that counts what it is sent, and may lose or change some of it."""

    def __init__(self, beats: int = BEATS):
        super().__init__(CONFIG, beats)
        self.sent = 0
        self.budget: int | None = None  # bytes until the link is lost
        self.spoilt = 0  # writes that go wrong

    @property
    def player(self) -> GoldenPlayer:
        assert isinstance(self._engine, GoldenPlayer)
        return self._engine

    def write(self, chunks):
        raw = b"".join(chunks)
        if self.budget is not None and self.sent + len(raw) > self.budget:
            raise DeviceTimeout("the link was lost")
        self.sent += len(raw)
        if raw[0] == 0x83 and self.spoilt:
            self.spoilt -= 1
            raw = raw[:-1] + bytes([raw[-1] ^ 1])
        super().write([raw])

    def memory(self, layout: MemoryLayout) -> bytes:
        return self.player._memory[: layout.nbytes].tobytes()


@pytest.fixture
def payloads():
    rng = np.random.default_rng(3)
    return [rng.bytes(8 * int(n)) for n in rng.integers(1, 20_000, 12)]


@pytest.fixture
def layout(payloads):
    found = MemoryLayout(CONFIG, 1 << 20)
    found.add(payloads)
    return found


def test_payloads_lie_one_behind_the_other_and_once(payloads):
    layout = MemoryLayout(CONFIG, 1 << 20)
    layout.add(payloads)
    layout.add([payloads[3], payloads[0]])
    at = 0
    for payload in payloads:
        assert layout.place(payload) == at
        at += len(payload) // 8
    assert layout.beats == at
    assert layout.place(bytes(payloads[0][:-1]) + payloads[0][-1:]) is None  # another object
    pieces = list(layout.pieces(1000))
    assert [first for first, _ in pieces] == [125 * n for n in range(len(pieces))]
    assert b"".join(piece for _, piece in pieces) == b"".join(payloads)


def test_the_epoch_names_contents_order_and_engine(payloads):
    def epoch(payloads, config=CONFIG):
        layout = MemoryLayout(config, 1 << 20)
        layout.add(payloads)
        return layout.epoch

    first = epoch(payloads)
    assert first == epoch([bytes(bytearray(p)) for p in payloads])
    assert len({first, epoch(payloads[::-1]), epoch(payloads[:-1]), EMPTY, PARTIAL}) == 5
    joined = [payloads[0] + payloads[1], *payloads[2:]]
    assert epoch(joined) != first  # the same bytes, cut in another way


def test_a_model_that_is_too_large_is_refused_before_anything_is_sent(payloads):
    board = Board(1000)
    device = PlayedDevice(board)
    with pytest.raises(BoardMemoryError, match=r"there are 8,000: [\d,]+ are lacking"):
        device.hold(payloads)
    assert not board.sent
    assert not device.held_bytes


def test_an_upload_is_skipped_where_the_memory_has_it(layout):
    board, seen = Board(1 << 20), []
    assert upload(board, layout, lambda done, total: seen.append((done, total))) == layout.nbytes
    assert board.memory(layout) == b"".join(piece for _, piece in layout.pieces(1 << 30))
    assert seen[-1] == (layout.nbytes, layout.nbytes)
    before = board.sent
    assert upload(board, layout) == 0
    assert board.sent == before


def test_an_upload_goes_on_where_it_was_broken_off(layout):
    board = Board(1 << 20)
    board.budget = layout.nbytes // 2
    with pytest.raises(DeviceTimeout):
        upload(board, layout)
    sent, board.budget = board.sent, None
    assert sent > 200_000
    board.write_register("reset", 1)
    assert upload(board, layout) < layout.nbytes - sent + (1 << 18)
    assert board.memory(layout) == b"".join(piece for _, piece in layout.pieces(1 << 30))


def test_a_beginning_that_two_models_share_is_sent_once(payloads):
    board = Board(1 << 20)
    PlayedDevice(board).hold(payloads[:-1])
    again = PlayedDevice(board)
    assert again.hold(payloads) < sum(map(len, payloads)) // 2


@pytest.mark.parametrize("spoilt", [1, 2])
def test_a_write_that_went_wrong_is_sent_again_once(layout, spoilt):
    board = Board(1 << 20)
    board.spoilt = spoilt
    if spoilt == 1:
        assert upload(board, layout) > layout.nbytes
        assert board.memory(layout) == b"".join(piece for _, piece in layout.pieces(1 << 30))
        return
    with pytest.raises(BoardMemoryError, match="bytes 0x0 to 0x3ffff: their checksum was wrong 2"):
        upload(board, layout)
    board.write_register("reset", 1)
    assert upload(board, layout)  # what is there is not taken for whole


def test_results_are_those_of_a_device_without_a_memory(make_layer):
    layers = [
        make_layer(CONFIG, name="q", seed=3, n=40),
        make_layer(CONFIG, name="k", seed=4, n=24),
    ]
    rng = np.random.default_rng(5)
    board = Board()
    with Driver(PlayedDevice(board)) as driver, Driver(GoldenDevice(CONFIG)) as plain:
        program = compile_layers(layers, CONFIG, held=True)
        weights = sum(map(len, program.payloads))
        assert driver.hold([program]) == weights
        assert driver.hold([program]) == 0
        for tokens in (1, 2, 5):
            before = board.sent
            xq = rng.integers(-128, 128, (tokens, layers[0].in_features))
            got = driver.run(program, xq).outputs
            assert board.sent - before < weights  # they are not sent
            want = plain.run(compile_layers(layers, CONFIG), xq).outputs
            for a, b in zip(got, want, strict=True):
                np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("rank", [0, 6])
@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_what_goes_over_the_link_is_counted(make_layer, rank, tokens):
    """By the plan alone, and as the device sends it."""
    layers = [make_layer(CONFIG, name=name, k=200, n=300, rank=rank, seed=7) for name in "qk"]
    program = compile_layers(layers, CONFIG)
    device = PlayedDevice(Board(1 << 20))
    with Driver(device) as driver:
        held = compile_layers(layers, CONFIG, held=True)
        driver.hold([held])
        driver.reset()
        sent, received = device.sent_bytes, device.received_bytes
        driver.run(held, np.ones((tokens, 200), np.int64))
        found = LinkTraffic.of([program, program], tokens)
        assert found.down == 2 * (device.sent_bytes - sent)
        assert found.up == 2 * (device.received_bytes - received)
        assert found.calls == 2
        assert device.played_bytes >= len(b"".join(held.payloads))


def test_a_player_that_stopped_is_named_and_comes_back(make_layer):
    layers = [make_layer(CONFIG, name="q", seed=3, n=40)]
    board = Board()
    with Driver(PlayedDevice(board)) as driver:
        program = compile_layers(layers, CONFIG, held=True)
        driver.hold([program])
        xq = np.ones((1, layers[0].in_features), np.int64)
        want = driver.run(program, xq).outputs[0]
        board.player.write([bytes(16)])
        with pytest.raises(PlayerError) as found:
            driver.run(program, xq)
        assert found.value.code is Refusal.CHECK
        np.testing.assert_array_equal(driver.run(program, xq).outputs[0], want)


def test_a_memory_that_does_not_answer_is_named(monkeypatch):
    board = Board()
    device = PlayedDevice(board)
    registers = board.read_register
    monkeypatch.setattr(
        board, "read_register", lambda name: 2 if name == "player_status" else registers(name)
    )
    with pytest.raises(DeviceTimeout, match="memory has not ended what it was asked for"):
        device.read(8, 0.0)
