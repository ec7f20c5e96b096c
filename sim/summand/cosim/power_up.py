"""Verilog whose registers and memories hold random values at power-up."""

import random
import re

__all__ = ["randomised"]

_REGISTER = re.compile(r"^( *reg (?:\[(\d+):0\] )?\S+) *= [^;]+;", re.MULTILINE)
_WORD = re.compile(r"^( +\S+\[\d+\] = )(\d+)'h[0-9a-f]+;", re.MULTILINE)
_FILL = re.compile(r"^( +words\[i\] = )0;", re.MULTILINE)


def randomised(verilog: str, seed: int) -> str:
    """Return Verilog of :func:`~summand.rtl.emit.emit_verilog` with random initial values.

    Every register and every word of a memory gets one. An engine must not depend on them after a
    reset, because some technologies load nothing at power-up.

    Raises
    ------
    ValueError
        If the text has no initial values of some kind, so that it is not what was expected.
    """
    rng = random.Random(seed)

    def value(bits: int) -> str:
        return f"{bits}'h{rng.getrandbits(bits):x}"

    def register(found: re.Match[str]) -> str:
        return f"{found[1]} = {value(int(found[2] or 0) + 1)};"

    def word(found: re.Match[str]) -> str:
        return f"{found[1]}{value(int(found[2]))};"

    def fill(found: re.Match[str]) -> str:
        # One statement fills a memory of any size, so the simulator draws the numbers.
        return f"{found[1]}{{64{{$random}}}};"

    for pattern, replace in ((_REGISTER, register), (_WORD, word), (_FILL, fill)):
        verilog, count = pattern.subn(replace, verilog)
        if not count:
            raise ValueError(f"no initial value looks like {pattern.pattern}")
    return verilog
