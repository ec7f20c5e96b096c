"""A model of a controller's registers, with the PHY of a DDR3 memory behind them."""

import random
from dataclasses import dataclass

from summand.boards.dram.commands import Command
from summand.boards.dram.controller import ControlRegister, DramController, InitialStep
from summand.boards.dram.record import BoardDram, DramTime, DramTimings
from summand.rtl.memory.native import NativePort

SOME = DramTime(clocks=1)
DRAM = BoardDram(
    phy="ECP5DDRPHY",
    clock_hz=1_000_000,
    data_bits=16,
    banks=8,
    rows=2048,
    columns=1024,
    timings=DramTimings(
        trefi=SOME, trfc=SOME, trp=SOME, trcd=SOME, tras=SOME, twr=SOME, twtr=SOME, tccd=SOME,
        trrd=SOME, tfaw=SOME, tzqcs=SOME,
    ),
    source="a model",
)  # fmt: skip
SEQUENCE = (
    InitialStep(what="reset off", control=True, address=0, bank=0, value=0b1000, cycles=900),
    InitialStep(what="clock on", control=True, address=0, bank=0, value=0b1110, cycles=10),
    InitialStep(what="mode 0", control=False, address=0x320, bank=1, value=15, cycles=0),
)
PHASES, PHASE_BITS, BITSLIPS, DELAYS = 2, 64, 4, 8
LANES = DRAM.data_bits // 8


def controller(**changes):
    """Return a controller of :data:`DRAM`, its registers those of LiteDRAM and somewhere."""
    widths = {"core_dfii_control": 4, "status_done": 1, "phy_dly_sel": LANES}
    for phase in range(PHASES):
        parts = {"command": 8, "command_issue": 1, "address": 15, "baddress": 3}
        parts |= {"wrdata": PHASE_BITS, "rddata": PHASE_BITS}
        widths |= {f"core_dfii_pi{phase}_{name}": width for name, width in parts.items()}
    for name in ("dq_rst", "dq_inc", "dq_bitslip_rst", "dq_bitslip"):
        widths[f"phy_rdly_{name}"] = 1
    widths |= {"phy_burstdet_clr": 1, "phy_burstdet_seen": LANES}
    registers, offset = {}, 0x40
    for name, bits in widths.items():
        registers[name] = ControlRegister(offset=offset, bits=bits)
        offset += 4 * registers[name].words
    fields = {
        "dram": DRAM,
        "verilog": "",
        "registers": registers,
        "sequence": SEQUENCE,
        "native": NativePort(address_bits=20, word_bits=128),
        "phases": PHASES,
        "phase_bits": PHASE_BITS,
        "read_phase": 0,
        "write_phase": 1,
        "bitslips": BITSLIPS,
        "delays": DELAYS,
    }
    return DramController(**(fields | changes))


@dataclass(frozen=True)
class Eye:
    """The settings with which a lane is read right; its strobe is seen with one more each side."""

    bitslip: int
    first: int
    last: int


class PhyModel:
    """Answers a host as the controller of a memory whose lanes have the given eyes.

    ``dead`` lanes bring noise with every setting.
    """

    def __init__(self, made, eyes, *, dead=(), seed=0):
        self.made, self.eyes, self.dead = made, eyes, set(dead)
        self.rng = random.Random(seed)
        self.values = dict.fromkeys(made.registers, 0)
        self.values["core_dfii_control"] = 1
        self.delays, self.bitslips = [0] * len(eyes), [0] * len(eyes)
        #: Every write by name, and every wait.
        self.log = []
        self.modes = {}
        self._word = None
        # As its users may have left it: nothing leads to its reset.
        self._open = True
        self._places = {
            register.offset + 4 * n: (name, 32 * (register.words - 1 - n))
            for name, register in made.registers.items()
            for n in range(register.words)
        }

    def wait(self, cycles):
        self.log.append(("wait", cycles))

    def read(self, offset):
        name, shift = self._places[offset]
        return self.values[name] >> shift & 0xFFFFFFFF

    def write(self, offset, value):
        name, shift = self._places[offset]
        kept = self.values[name] & ~(0xFFFFFFFF << shift)
        self.values[name] = kept | value << shift
        self.log.append((name, self.values[name]))
        if name.startswith("phy_rdly"):
            self._set(name)
        elif name == "phy_burstdet_clr":
            self.values["phy_burstdet_seen"] = 0
        elif name.endswith("_issue"):
            self._command(int(name[len("core_dfii_pi")]))

    def _set(self, name):
        for lane in range(len(self.eyes)):
            if not self.values["phy_dly_sel"] >> lane & 1:
                continue
            match name.removeprefix("phy_rdly_dq_"):
                case "rst":
                    self.delays[lane] = 0
                case "inc":
                    self.delays[lane] = (self.delays[lane] + 1) % DELAYS
                case "bitslip_rst":
                    self.bitslips[lane] = 0
                case "bitslip":
                    self.bitslips[lane] = (self.bitslips[lane] + 1) % BITSLIPS

    def _command(self, phase):
        assert not self.values["core_dfii_control"] & 1, "the memory is the controller's"
        assert not self.values["status_done"], "the memory has users"
        command = Command(self.values[f"core_dfii_pi{phase}_command"])
        address = self.values[f"core_dfii_pi{phase}_address"]
        bank = self.values[f"core_dfii_pi{phase}_baddress"]
        lines = command & ~(Command.DATA_IN | Command.DATA_OUT)
        assert lines & Command.SELECT
        if lines == Command.ROW | Command.COLUMN | Command.WRITE | Command.SELECT:
            assert not self._open, "a mode register is set while a row is open"
            self.modes[bank] = address
            return
        if lines == Command.precharge() and address == 1 << 10:
            self._open = False
            return
        assert (address, bank) == (0, 0)
        if lines == Command.activate():
            assert not self._open
            self._open = True
        elif lines == Command.precharge():
            self._open = False
        elif command == Command.write():
            assert self._open
            assert phase == self.made.write_phase
            self._word = [self.values[f"core_dfii_pi{p}_wrdata"] for p in range(PHASES)]
        elif command == Command.read():
            assert self._open
            assert phase == self.made.read_phase
            self._read()
        else:
            raise AssertionError(f"no such command: {command!r}")

    def _read(self):
        assert self._word is not None
        seen = 0
        noise = [self.rng.getrandbits(PHASE_BITS) for _ in range(PHASES)]
        for lane, eye in enumerate(self.eyes):
            bits = sum(0xFF << 16 * n + 8 * lane for n in range(PHASE_BITS // 16))
            near = eye.first - 1 <= self.delays[lane] <= eye.last + 1
            right = near and eye.first <= self.delays[lane] <= eye.last
            right = right and self.bitslips[lane] == eye.bitslip and lane not in self.dead
            seen |= near << lane
            source = self._word if right else noise
            for phase in range(PHASES):
                name = f"core_dfii_pi{phase}_rddata"
                self.values[name] = self.values[name] & ~bits | source[phase] & bits
        self.values["phy_burstdet_seen"] |= seen
