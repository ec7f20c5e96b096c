"""Bounds on what a stranger's configuration can make a library allocate."""

import contextlib
import resource
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from summand.model.errors import ModelError, Refusal
from summand.model.reading import check_size

__all__ = ["Stored", "limited_memory", "limited_module"]

#: Bytes of a module's buffers, such as masks and tables of positions, that no file holds.
BUFFER_BYTES = 1 << 30

#: Parameters beyond twice the tensors: shared ones are registered under each of their names.
_SPARE = 256


@dataclass(frozen=True)
class Stored:
    """The contents of a model's files.

    Parameters
    ----------
    tensors : int
        How many.
    weights : int
        The most weights that their bytes can hold.
    """

    tensors: int
    weights: int

    @classmethod
    def in_bytes(cls, tensors: int, size: int) -> "Stored":
        """Return the most that tensors of so many bytes can hold: eight weights a byte."""
        return cls(tensors, 8 * size)

    @classmethod
    def of(cls, files: Iterable[Path]) -> "Stored":
        """Return the contents of safetensors files, by their headers.

        Raises
        ------
        ModelError
            If one is not a regular safetensors file.
        """
        from safetensors import SafetensorError, safe_open

        tensors = size = 0
        for path in files:
            try:
                size += check_size(path)
                with safe_open(path, framework="numpy") as file:
                    tensors += len(list(file.keys()))
            except (OSError, SafetensorError) as e:
                raise ModelError(f"{path}: {e}; it is damaged, copy it again") from None
        return cls.in_bytes(tensors, size)


@contextlib.contextmanager
def limited_memory(most: int) -> Iterator[None]:
    """Let this process allocate so many more bytes; beyond that it gets a ``MemoryError``.

    Where the system has no such limit, or already a lower one, nothing changes.
    """
    before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = _address_space() + most
    limits = [limit for limit in before if limit != resource.RLIM_INFINITY]
    try:
        resource.setrlimit(resource.RLIMIT_AS, (min([wanted, *limits]), before[1]))
    except (OSError, ValueError):
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _address_space() -> int:
    """Return the address space that this process uses, bytes; a huge number except on Linux."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except (OSError, ValueError):
        return 1 << 46
    return pages * resource.getpagesize()


@contextlib.contextmanager
def limited_module(stored: Stored) -> Iterator[None]:
    """Refuse a module, while it is built on torch's meta device, that ``stored`` cannot fill.

    Counts parameters and buffers as modules register them, so that ten million layers end with
    the first that has no tensor.

    Raises
    ------
    Refusal
        As soon as there are too many.
    """
    from torch.nn.modules import module

    most = 2 * stored.tensors + _SPARE
    weights = 2 * stored.weights + (1 << 20)
    count = elements = held = 0

    def parameter(_owner: Any, _name: str, value: Any) -> None:
        nonlocal count, elements
        if value is None:
            return
        count += 1
        elements += value.numel()
        if count > most:
            raise Refusal(
                f"asks for a model of more than {most:,} parameters, but the files hold "
                f"{stored.tensors:,} tensors"
            )
        if elements > weights:
            raise Refusal(
                f"asks for a model of {elements:,} weights or more, but the files hold "
                f"{stored.weights:,} at most"
            )

    def buffer(_owner: Any, name: str, value: Any) -> None:
        nonlocal held
        if value is None:
            return
        held += value.numel() * value.element_size()
        if held > BUFFER_BYTES:
            raise Refusal(
                f"asks for a buffer {name!r} of {list(value.shape)}; buffers may take "
                f"{BUFFER_BYTES >> 20} MiB in all"
            )

    hooks = (
        module.register_module_parameter_registration_hook(parameter),
        module.register_module_buffer_registration_hook(buffer),
    )
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
