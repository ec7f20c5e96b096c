"""Verilog whose registers and memories hold random values at power-up."""

import random
import re

__all__ = ["randomised"]

_REGISTER = re.compile(r"^( *reg (?:\[(\d+):0\] )?\S+) *= [^;]+;", re.MULTILINE)
_WORD = re.compile(r"^( +\S+\[\d+\] = )(\d+)'h[0-9a-f]+;", re.MULTILINE)
_FILL = re.compile(r"^( +words\[i\] = )0;", re.MULTILINE)


def randomised(verilog: str, seed: int) -> str:
    """Return Verilog of :func:`~summand.rtl.emit.emit_verilog` with random initial values.

    An engine that is reset must not depend on them, because some technologies load nothing at
    power-up. Every register and every word of a memory gets one.

    Raises
    ------
    ValueError
        If the text has no registers or no memories, so that it is not Verilog of that function.
    """
    rng = random.Random(seed)

    def value(bits: int) -> str:
        return f"{bits}'h{rng.getrandbits(bits):x}"

    def register(found: re.Match[str]) -> str:
        return f"{found[1]} = {value(int(found[2] or 0) + 1)};"

    def word(found: re.Match[str]) -> str:
        return f"{found[1]}{value(int(found[2]))};"

    def fill(found: re.Match[str]) -> str:
        # The simulator's own random numbers, so that one statement fills a memory of any size.
        return f"{found[1]}{{64{{$random}}}};"

    for pattern, replace in ((_REGISTER, register), (_WORD, word), (_FILL, fill)):
        verilog, count = pattern.subn(replace, verilog)
        if not count:
            raise ValueError(f"no initial value looks like {pattern.pattern}")
    return verilog
