"""Ways to reach an engine: one interface over the golden model, the simulator and boards."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from threadpoolctl import ThreadpoolController

from summand.golden import GoldenEngine
from summand.isa import EngineConfig, SummandError
from summand.runtime.errors import DeviceTimeout

__all__ = ["DEFAULT_CONFIG", "DEVICES", "Device", "GoldenDevice", "open_device"]

#: The engine that ``run`` and ``verify`` use where none is named: SmolLM2's 576 input features
#: are nine slices, its 1536 twenty-four, and the shift gives low-rank summands their precision.
DEFAULT_CONFIG = EngineConfig(
    rows=1, cols=4, depth=64, stream_bits=256, act_depth=64, acc_depth=1024, shift=4
)


class Device(Protocol):
    """Something that takes an engine's input stream and gives its output stream."""

    @property
    def config(self) -> EngineConfig:
        """The configuration that this engine is believed to have."""
        ...

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Queue bytes for the input stream, in order; together they are whole beats.

        The chunks may be kept by reference until the engine has taken them.
        """
        ...

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return exactly ``nbytes`` of the output stream.

        Raises
        ------
        TimeoutError
            If they do not come within ``timeout_s`` seconds, or cannot come any more.
        """
        ...

    def read_register(self, name: str) -> int:
        """Return the value of a register of :data:`summand.isa.registers.REGISTERS`."""
        ...

    def write_register(self, name: str, value: int) -> None:
        """Write a register. Writing ``reset`` also drops what is queued in both directions."""
        ...

    def close(self) -> None:
        """Give back what the device holds; it cannot be used afterwards."""
        ...


class GoldenDevice:
    """The golden model as a device: exact, untimed, no tools needed."""

    def __init__(self, config: EngineConfig):
        self._engine = GoldenEngine(config)
        self._config = config
        self._threads = ThreadpoolController()

    @property
    def config(self) -> EngineConfig:
        """The configuration that is modelled."""
        return self._config

    def write(self, chunks: Sequence[bytes | memoryview]) -> None:
        """Execute bytes; nothing is left queued but an unfinished command.

        On one thread: a few rows times a large matrix wait for memory, and a second thread makes
        them up to eight times slower where torch has threads of its own.
        """
        with self._threads.limit(limits=1, user_api="blas"):
            self._engine.write(chunks)

    def read(self, nbytes: int, timeout_s: float) -> bytes:
        """Return ``nbytes``; what is not there yet never comes, so nothing is waited for."""
        if self._engine.available < nbytes:
            raise DeviceTimeout(
                f"the golden model has {self._engine.available} bytes of output, not {nbytes}, "
                f"and waits for more input; the stream is cut short or an error stopped it"
            )
        return self._engine.read(nbytes)

    def read_register(self, name: str) -> int:
        """Return a register's value."""
        return self._engine.read_register(name)

    def write_register(self, name: str, value: int) -> None:
        """Write a register."""
        self._engine.write_register(name, value)

    def close(self) -> None:
        """Do nothing; there is nothing to give back."""


_Progress = Callable[[str], None]


def _simulator(
    config: EngineConfig, *, stall: float, seed: int, progress: _Progress | None
) -> Device:
    from summand.verilated import SimDevice  # here: needs Verilator, which golden users may lack

    return SimDevice(config, stall=stall, seed=seed, progress=progress)


def _golden(config: EngineConfig, *, stall: float, seed: int, progress: _Progress | None) -> Device:
    return GoldenDevice(config)


#: Devices by the name that the command line knows them by.
DEVICES: Mapping[str, Callable[..., Device]] = {"golden": _golden, "sim": _simulator}


def open_device(
    name: str,
    config: EngineConfig,
    *,
    stall: float = 0.0,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Device:
    """Return the device called ``name``.

    Parameters
    ----------
    name : str
        ``golden``, or ``sim`` for the generated Verilog in the native simulator.
    config : EngineConfig
        The engine's.
    stall : float
        Probability that the simulator withholds a beat, on both sides.
    seed : int
        Seed of the stalls.
    progress : callable, optional
        Called with a line of text when something starts that takes seconds.
    """
    if name not in DEVICES:
        raise SummandError(f"no device is called {name!r}; there are {', '.join(sorted(DEVICES))}")
    return DEVICES[name](config, stall=stall, seed=seed, progress=progress)
