import pytest

from summand.isa import EngineConfig
from summand.isa.player import Item, ItemError, ItemOp, Refusal

CONFIG = EngineConfig(rows=1, cols=2, depth=16, stream_bits=32)
#: The bytes of docs/memory.md's first example.
PLAY = bytes.fromhex("82006fb0 e1000000 00010000 00000000")


def changed(raw: bytes, at: int, value: int) -> bytes:
    """Return an item with another byte, and a checksum that matches."""
    out = bytearray(raw)
    flipped = out[at] ^ value
    out[at] = value
    out[2 + at % 2] ^= flipped
    return bytes(out)


def test_an_item_is_sixteen_bytes():
    item = Item(ItemOp.PLAY, 225, 256)
    assert item.encode(CONFIG) == PLAY
    assert Item.decode(PLAY, 481) == item


def test_wide_beats_are_filled_with_zeros():
    wide = EngineConfig(rows=1, cols=8, depth=64, stream_bits=512)
    assert Item(ItemOp.PLAY, 225, 256).encode(wide) == PLAY + bytes(48)


@pytest.mark.parametrize("bit", range(128))
def test_any_wrong_bit_is_found(bit):
    raw = bytearray(PLAY)
    raw[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ItemError) as found:
        Item.decode(bytes(raw), 2**32 - 1)
    assert found.value.code is Refusal.CHECK


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (changed(PLAY, 0, 0x80), Refusal.OP),
        (changed(PLAY, 0, 0x85), Refusal.OP),
        (changed(PLAY, 1, 1), Refusal.RESERVED),
        (changed(PLAY, 12, 1), Refusal.RESERVED),
        (changed(PLAY, 15, 0x80), Refusal.RESERVED),
        (Item(ItemOp.LITERAL, 1, 1).encode(CONFIG), Refusal.RESERVED),
        (Item(ItemOp.PLAY, 226, 256).encode(CONFIG), Refusal.ADDRESS),
        (Item(ItemOp.WRITE, 2**32 - 1, 2**32 - 1).encode(CONFIG), Refusal.ADDRESS),
        (Item(ItemOp.CRC, 0, 482).encode(CONFIG), Refusal.ADDRESS),
        (changed(changed(PLAY, 0, 0), 1, 1), Refusal.OP),
        (changed(changed(PLAY, 12, 1), 4, 0xFF), Refusal.RESERVED),
    ],
)
def test_the_first_check_that_fails_is_reported(raw, code):
    with pytest.raises(ItemError) as found:
        Item.decode(raw, 481)
    assert found.value.code is code


@pytest.mark.parametrize("op", ItemOp)
def test_only_what_carries_beats_is_followed_by_them(op):
    assert Item(op, 7).carried == (7 if op in (ItemOp.LITERAL, ItemOp.WRITE) else 0)


def test_an_item_may_end_with_the_memory():
    raw = Item(ItemOp.PLAY, 225, 256).encode(CONFIG)
    assert Item.decode(raw, 481).beats == 225
