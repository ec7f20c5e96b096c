"""An engine on a PCIe card, behind Xilinx's XDMA and the driver that comes with it."""

import errno
import mmap
import os
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import FileIO, RawIOBase

from summand.isa import EngineConfig, ErrorCode
from summand.isa.commands import Fence
from summand.isa.packets import Kind, PacketHeader, status_packet_bytes
from summand.isa.player import Item, ItemOp
from summand.isa.registers import IDENTITY, register
from summand.runtime.errors import DeviceError, DeviceTimeout, WrongEngineError
from summand.runtime.sender import Sender
from summand.runtime.windows import MappedWindow, Window

__all__ = ["Xdma", "XdmaDevice"]

#: Bytes of a transfer to the card, at most.
_SEND_BYTES = 1 << 20
#: Bytes that are asked for at once: a page is one descriptor of the driver's, and a transfer of one
#: descriptor ends with a packet, or full, whatever the driver makes of ends of packets else.
_PAGE = 4096
#: What the driver answers when nothing has come within its own time. The first is the kernel's
#: ERESTARTSYS, which is meant never to leave it.
_NOTHING = (512, errno.ETIMEDOUT, errno.EAGAIN)
#: How long a reset may take; the driver gives a transfer up after ten seconds.
_RESET_S = 30
#: How long the engine gets to take what is left between it and the driver; many times its need.
_NAP_S = 0.002
#: Resets in a row after which the engine still has something to do: then it is its output that is
#: held up, and not a command that was cut short.
_HELD_UP = 3


@dataclass(frozen=True, kw_only=True)
class Xdma:
    """What the driver shows of a card.

    Parameters
    ----------
    name : str
        For errors.
    to_card, from_card : RawIOBase
        The streams' files.
    registers : Window
        The engine's registers.
    close : callable
        Closes all of them.
    """

    name: str
    to_card: RawIOBase
    from_card: RawIOBase
    registers: Window
    close: Callable[[], None]

    @classmethod
    def open(cls, name: str) -> "Xdma":
        """Open the files of a card, such as ``/dev/xdma0``, to whose name the driver adds.

        Raises
        ------
        DeviceError
            If one is missing, in use, or not this user's.
        """
        registers = MappedWindow(f"{name}_user")
        files: list[RawIOBase] = []

        def close() -> None:
            for file in files:
                file.close()
            registers.close()

        try:
            # Not by name: "w" would truncate, which drivers take for another kind of transfer.
            for suffix, flags, mode in (("h2c_0", os.O_WRONLY, "w"), ("c2h_0", os.O_RDONLY, "r")):
                files.append(FileIO(os.open(f"{name}_{suffix}", flags), mode))
        except OSError as e:
            close()
            raise DeviceError(
                f"{e.filename} cannot be opened ({e.strerror}); is the card's XDMA of the kind "
                f"AXI4-Stream, is its driver loaded, has another program opened it, and may this "
                f"user read and write it?"
            ) from None
        to_card, from_card = files
        return cls(
            name=name, to_card=to_card, from_card=from_card, registers=registers, close=close
        )


class XdmaDevice:
    """An engine behind XDMA's first channels; a :class:`~summand.runtime.device.Device`.

    Bytes go to the card in a thread of their own. Bytes from it are asked for when they are due
    only, so that no transfer is given up while there is nothing to come. Opening resets the engine.

    Parameters
    ----------
    config : EngineConfig
        The engine's, as expected; the driver compares its digest with the registers.
    xdma : Xdma
        The card; closed with the device.
    memory_beats : int
        Size of the card's memory that the engine was generated with, which begins at address 0 of
        the engine's bus; 0: none. With a memory, what is written to the device is items.
    clock : callable
        The time in seconds.
    sleep : callable
        Lets seconds pass.

    Raises
    ------
    WrongEngineError
        In the constructor, if there is no engine, or none with such a memory.
    DeviceError
        In the constructor and all methods, if a transfer fails, or the engine does not come back
        from a reset.
    """

    def __init__(
        self,
        config: EngineConfig,
        xdma: Xdma,
        *,
        memory_beats: int = 0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ):
        self._config = config
        self._xdma = xdma
        self._memory_beats = memory_beats
        self._clock = clock
        self._sleep = sleep
        self._received = bytearray()
        self._page = memoryview(mmap.mmap(-1, _PAGE))
        self._sender = Sender(
            xdma.to_card, xdma.name, _SEND_BYTES // config.beat_bytes * config.beat_bytes
        )
        try:
            self._greet()
            self._reset()
        except BaseException:
            self._sender.close()
            xdma.close()
            raise

    @property
    def config(self) -> EngineConfig:
        """The configuration that this engine is believed to have."""
        return self._config

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue bytes, which are kept by reference until they have been sent."""
        self._sender.check()
        self._sender.push(chunks)

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return exactly ``nbytes`` of the output stream.

        Where nothing comes, the driver's own time passes first, by default ten seconds.
        """
        deadline = self._clock() + timeout_s
        while len(self._received) < nbytes:
            self._sender.check()
            if self._clock() >= deadline:
                raise DeviceTimeout(
                    f"the engine gave {len(self._received)} of {nbytes} bytes within "
                    f"{timeout_s:g} s; it waits for more input, or an error stopped it"
                )
            self._receive()
        data = bytes(self._received[:nbytes])
        del self._received[:nbytes]
        return data

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._xdma.registers.read(register(name).offset)

    def write_register(self, name: str, value: int) -> None:
        """Write a register. ``reset`` empties both directions too."""
        if name == "reset" and value & 1:
            self._reset()
        else:
            self._xdma.registers.write(register(name).offset, value)

    def close(self) -> None:
        """Stop the engine, let the transfer under way end, and close the card's files."""
        try:
            self._stop()
        finally:
            self._sender.close()
            self._xdma.close()

    def _greet(self) -> None:
        """Make sure of an engine, because a write to something else's registers may do harm."""
        found = self.read_register("identity")
        if found != IDENTITY:
            raise WrongEngineError(
                f"{self._xdma.name} is no Summand engine: its identity register is {found:#010x}, "
                f"not {IDENTITY:#010x}; load the card's bitstream, let the system find the card "
                f"again, and check that the engine's registers begin at 0 of XDMA's AXI4-Lite"
            )
        # Asked for only where it should be: what is nobody's register may be answered by an error.
        if self._memory_beats:
            beats = self.read_register("memory_beats")
            if beats != self._memory_beats:
                raise WrongEngineError(
                    f"the engine at {self._xdma.name} has no memory of {self._memory_beats:,} "
                    f"beats: its register memory_beats is {beats:#x}; give the --memory that the "
                    f"engine was generated with, or none"
                )

    def _receive(self) -> None:
        """Let one transfer from the card end."""
        try:
            size = self._xdma.from_card.readinto(self._page)
        except OSError as e:
            if e.errno in _NOTHING:
                return
            raise DeviceError(
                f"{self._xdma.name} gives no bytes ({e.strerror or e}); is the card still there? "
                f"Its driver's messages say more"
            ) from None
        if size == 0:
            raise DeviceError(f"{self._xdma.name} has come to its end: the card is gone")
        self._received += self._page[: size or 0]

    def _pulse(self) -> None:
        """Reset the engine; returns when the write has arrived, which a read after it proves."""
        self._xdma.registers.write(register("reset").offset, 1)
        self.read_register("status")

    def _stop(self) -> None:
        """Reset the engine until nothing comes to it any more.

        There may be any number of bytes between the driver and it: parts of commands, which begin
        or end anywhere, and commands whose results hold it up.
        """
        self._sender.drop()
        deadline = self._clock() + _RESET_S
        resets, busy = 0, True
        while busy:
            if self._clock() > deadline:
                raise DeviceError(
                    f"the engine at {self._xdma.name} does not come to rest; load the driver again"
                )
            if resets and resets % _HELD_UP == 0:
                self._receive()
            self._pulse()
            resets += 1
            busy = not self._sender.wait(0)
            self._sleep(_NAP_S)
            busy |= self._works()
        self._sender.drop()

    def _works(self) -> bool:
        """Return whether engine, player or memory have something to do."""
        busy = self.read_register("status") & 1
        if self._memory_beats:
            busy |= self.read_register("player_status") & 3
        return bool(busy)

    def _reset(self) -> None:
        """Reset the engine, and drop what is left of its output.

        It is followed by a FENCE's answer, which is known by its tag.
        """
        self._stop()
        self._pulse()
        fence = Fence(random.SystemRandom().randrange(1 << 16))
        size = status_packet_bytes(self._config)
        marker = PacketHeader(
            kind=Kind.STATUS,
            status=ErrorCode.OK,
            tag=fence.tag,
            length=size // self._config.beat_bytes - self._config.header_beats,
            command=0,
        ).encode(self._config)
        beats = fence.encode(self._config)
        if self._memory_beats:
            item = Item(ItemOp.LITERAL, len(beats) // self._config.beat_bytes)
            beats = item.encode(self._config) + beats
        self._sender.push([beats])
        generated = "with" if self._memory_beats else "without"
        deadline = self._clock() + _RESET_S
        while (at := self._received.find(marker)) < 0 or len(self._received) < at + size:
            if self._clock() > deadline:
                raise DeviceError(
                    f"the engine at {self._xdma.name} does not answer after a reset; are its "
                    f"streams joined to XDMA's first channels, and was it generated {generated} "
                    f"--memory?"
                )
            self._sender.check()
            self._receive()
        self._pulse()  # so that the next command is the first
        self._received.clear()
