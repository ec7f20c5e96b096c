"""One Verilog module for all equal components."""

import functools
import re
from collections.abc import Callable
from typing import Any, TypeVar, cast

from amaranth import *
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.lib import wiring

from summand.rtl.technology import Technology

__all__ = ["Library", "emitted_once"]

_Elaborate = TypeVar("_Elaborate", bound=Callable[..., Any])

_MODULE = re.compile(r"^module \\(\S+)$", re.MULTILINE)
_ELEMENT = re.compile(r"\\[^\s\[\]]+\[\d+\]\S*")
_PORT = re.compile(r"^  wire .*\b(?:input|output) \d+ .*\\(\S+)$", re.MULTILINE)


def emitted_once(elaborate: _Elaborate) -> _Elaborate:
    """Decorate the ``elaborate`` of a component of which a design holds many equal copies.

    Under a :class:`Library` all copies with equal parameters become instances of one Verilog
    module, elaborated once. Elsewhere (simulation, a board's own build) nothing changes.

    Two copies are equal if they are of the same class, their ports have equal names and widths,
    and all their other attributes are equal. So every attribute must be hashable, and
    ``elaborate`` a function of these alone.
    """

    @functools.wraps(elaborate)
    def wrapper(self: wiring.Component, platform: Any) -> Any:
        if isinstance(platform, Library) and platform.current is not self:
            return platform.instance(self)
        return elaborate(self, platform)

    return cast(_Elaborate, wrapper)


class Library:
    """The platform that shares :func:`emitted_once` components, and the modules they become.

    Parameters
    ----------
    prefix : str
        Begin of the modules' names: a ``Row`` becomes ``<prefix>_row``, and the next ``Row`` with
        other parameters ``<prefix>_row_2``.
    technology : Technology
        Its primitives may be instantiated.
    """

    def __init__(self, prefix: str, technology: Technology = Technology.GENERIC):
        self.prefix = prefix
        self.technology = technology
        #: The component that is being emitted, which is not replaced by an instance of itself.
        self.current: wiring.Component | None = None
        #: Modules in RTLIL, each after those that it instantiates.
        self.rtlil: list[str] = []
        #: Modules written by hand, in Verilog.
        self.verilog: list[str] = []
        self._modules: dict[Any, tuple[str, list[str]]] = {}
        self._names: set[str] = set()

    def emit(self, component: wiring.Component, name: str) -> list[str]:
        """Add ``component`` and its parts as modules whose names begin with ``name``.

        Returns the names of its ports.
        """
        outer, self.current = self.current, component
        self._claim(name)
        try:
            text = rtlil.convert(component, name=name, platform=self, emit_src=False)
        finally:
            self.current = outer
        text = self._rename(text, name)
        self.rtlil.append(text)
        begin = text.index(f"\nmodule \\{name}\n")
        return _PORT.findall(text, begin, text.index("\nend\n", begin))

    def instance(self, component: wiring.Component) -> Instance:
        """Return an instance of the module that ``component`` shares with its equals."""
        name, ports = self._shared(component)
        return Instance(name, *_connections(component, ports))

    def module(self, component: wiring.Component) -> str:
        """Return the name of the module that ``component`` shares with its equals."""
        return self._shared(component)[0]

    def add(self, base: str, text: str) -> str:
        """Add a module written by hand, once, and return its name.

        ``text`` is its Verilog with ``{name}`` where the name goes.
        """
        key = base, text
        if key not in self._modules:
            name = self._fresh(base)
            self._claim(name)
            self.verilog.append(text.format(name=name))
            self._modules[key] = name, []
        return self._modules[key][0]

    def _shared(self, component: wiring.Component) -> tuple[str, list[str]]:
        key = type(component), _parameters(component), _ports(component)
        if key not in self._modules:
            name = self._fresh(_snake(type(component).__name__))
            self._modules[key] = name, self.emit(component, name)
        return self._modules[key]

    def _fresh(self, base: str) -> str:
        name, number = f"{self.prefix}_{base}", 1
        while name in self._names:
            number += 1
            name = f"{self.prefix}_{base}_{number}"
        return name

    def _claim(self, name: str) -> None:
        if name in self._names:
            raise ValueError(f"two modules would be called {name}")
        self._names.add(name)

    def _rename(self, text: str, top: str) -> str:
        """Give the submodules that Amaranth calls ``top.a.b`` plain names, ``top_a_b``.

        An array's element ``x[0]`` becomes ``x.0``: Yosys takes wires of the first name for bits
        of ``x`` when it maps to look-up tables, and fails.
        """
        plain = {}
        text = _ELEMENT.sub(lambda found: re.sub(r"\[(\d+)\]", r".\1", found[0]), text)
        for module in _MODULE.findall(text):
            if module != top:
                # Amaranth numbers a submodule that is called as a signal is; the number would
                # change with anything, and is seldom needed.
                name = re.sub(r"\W+", "_", re.sub(r"\$\d+", "", module))
                plain[module] = re.sub(r"\W+", "_", module) if name in self._names else name
                self._claim(plain[module])
        return re.sub(
            r"^((?:module|  cell) \\)(\S+)",
            lambda found: found[1] + plain.get(found[2], found[2]),
            text,
            flags=re.MULTILINE,
        )


def _parameters(component: wiring.Component) -> frozenset[tuple[str, Any]]:
    """Return the attributes that a component's own ``__init__`` set."""
    ports = component.signature.members.keys()
    amaranths = ("_MustUse__", "_Component__")
    return frozenset(
        (name, value)
        for name, value in vars(component).items()
        if name not in ports and not name.startswith(amaranths)
    )


def _ports(component: wiring.Component) -> tuple[tuple[str, str, int, bool], ...]:
    """Return a hashable description of a component's ports."""
    found = []
    for name, direction, value in _flat(component):
        shape = value.shape()
        found.append((name, direction, shape.width, shape.signed))
    return tuple(found)


def _flat(component: wiring.Component) -> list[tuple[str, str, Value]]:
    """Return Verilog name, ``i`` or ``o``, and value of each port."""
    return [
        ("__".join(map(str, path)), "i" if member.flow == wiring.In else "o", Value.cast(value))
        for path, member, value in component.signature.flatten(component)
    ]


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _connections(component: wiring.Component, ports: list[str]) -> list[tuple[str, str, Any]]:
    """Pair the Verilog ports with the component's members, and what is left with clock domains."""
    made: list[tuple[str, str, Any]] = [
        (direction, name, value) for name, direction, value in _flat(component)
    ]
    names = {name for _, name, _ in made}
    if missing := names - set(ports):
        raise ValueError(f"the module of {component!r} lacks {', '.join(sorted(missing))}")
    for name in set(ports) - names:
        domain, _, kind = name.rpartition("_")
        signal = {"clk": ClockSignal, "rst": ResetSignal}[kind]
        made.append(("i", name, signal(domain or "sync")))
    return sorted(made, key=lambda connection: connection[1])
