"""The ports that all elements have."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from summand.isa import EngineConfig
from summand.isa.widths import act_addr_bits

__all__ = ["PreparePort", "TurnPort"]


class PreparePort(wiring.Signature):
    """The slices of a GEMM, as the front orders them.

    Members
    -------
    start : ``Out(1)``
        Begin a walk: prepare its first slice.
    addr : ``Out(act_addr_bits)``
        Word of the activation memory that the first slice begins with.
    slices : ``Out(range(act_depth + 1))``
        Slices of the walk.
    """

    def __init__(self, config: EngineConfig):
        super().__init__(
            {
                "start": Out(1),
                "addr": Out(act_addr_bits(config)),
                "slices": Out(range(config.act_depth + 1)),
            }
        )


class TurnPort(wiring.Signature):
    """When words may enter the array, as the walker sees it.

    Members
    -------
    next_ready : ``In(1)``
        In the next cycle the element is prepared for the current slice. Never with
        :attr:`release`.
    release : ``Out(1)``
        The slice's last word enters the array in this cycle: prepare the next slice.
    """

    def __init__(self):
        super().__init__({"next_ready": In(1), "release": Out(1)})
