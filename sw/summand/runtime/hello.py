"""A first talk with a device: who it is, how soon it answers, and whether it computes."""

import statistics
import time
from dataclasses import dataclass

import numpy as np

from summand.isa import EngineConfig
from summand.runtime.driver import Driver
from summand.runtime.verify import Comparison, Shape, compare, random_layer

__all__ = ["Hello", "hello_shape", "say_hello"]

_SEED = 0
#: Reads of a register of which the median is told.
_READS = 9


@dataclass(frozen=True, kw_only=True)
class Hello:
    """What a device said.

    Parameters
    ----------
    identity, version : int
        Its registers of these names.
    digest : str
        Of its configuration, by its registers.
    round_trip_s : float
        Seconds from asking for a register to its value; the median of a few.
    comparison : Comparison
        A small layer on the device, on the golden model and in NumPy.
    """

    identity: int
    version: int
    digest: str
    round_trip_s: float
    comparison: Comparison


def hello_shape(config: EngineConfig) -> Shape:
    """Return sizes that fill every row and end within a slice and within a tile."""
    return Shape(
        tokens=config.rows,
        in_features=config.depth + config.depth // 2,
        out_features=config.cols + 1,
        bits=4,
    )


def say_hello(driver: Driver) -> Hello:
    """Ask a device who it is, and let it compute a random layer that takes few beats.

    Raises
    ------
    DeviceError
        If it does not answer, or not as an engine does.
    """
    read = driver.read_register
    digest = f"{read('digest_hi') << 32 | read('digest_lo'):016x}"
    identity, version = read("identity"), read("version")
    times = []
    for _ in range(_READS):
        start = time.perf_counter()
        read("identity")
        times.append(time.perf_counter() - start)
    rng = np.random.default_rng(_SEED)
    layer, tokens = random_layer(rng, driver.config, hello_shape(driver.config))
    return Hello(
        identity=identity,
        version=version,
        digest=digest,
        round_trip_s=statistics.median(times),
        comparison=compare([layer], driver, tokens),
    )
