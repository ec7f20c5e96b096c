"""Why a player stops."""

import enum

from summand.isa.errors import SummandError

__all__ = ["ItemError", "PlayerError", "Refusal"]


class Refusal(enum.IntEnum):
    """Why a player stopped, as bits 15 to 8 of its register ``player_status`` say.

    The golden model and the gateware report the first check that fails, in this order.
    """

    OK = 0
    #: The eight half-words do not fold to :data:`~summand.isa.player.items.ITEM_CHECK`.
    CHECK = 1
    #: No such operation.
    OP = 2
    #: A reserved byte is set, or a LITERAL has an address.
    RESERVED = 3
    #: The beats reach beyond the memory's end.
    ADDRESS = 4
    #: The memory refused what was read or written.
    MEMORY = 5

    @property
    def cause(self) -> str:
        """A sentence for people: what was wrong."""
        return _CAUSES[self]


_CAUSES = {
    Refusal.OK: "no error",
    Refusal.CHECK: "an item's checksum does not match; the stream was corrupted or cut short",
    Refusal.OP: "an item names an operation that does not exist",
    Refusal.RESERVED: "an item sets a reserved field",
    Refusal.ADDRESS: "an item reaches beyond the memory's end",
    Refusal.MEMORY: "the memory refused an access; check its controller and its address range",
}


class ItemError(Exception):
    """An item that a player refuses; ``code`` is what it reports."""

    def __init__(self, code: Refusal):
        self.code = code
        super().__init__(code.cause)


class PlayerError(SummandError):
    """A player stopped; ``code`` says why and ``item`` at which, counted from 0."""

    def __init__(self, code: Refusal, item: int):
        self.code = code
        self.item = item
        super().__init__(
            f"the player stopped at item {item} with error {code.value} ({code.name}): "
            f"{code.cause}; reset the device and send the stream again"
        )
