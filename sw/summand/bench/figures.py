"""Costs as plain numbers, for JSON."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from summand.isa.packets import Counters
from summand.runtime import Usage
from summand.runtime.program import role_of

__all__ = ["by_role", "usage_figures", "waits"]


def by_role(usage: Mapping[str, Usage]) -> dict[str, Usage]:
    """Add up corresponding layers of all blocks, under their name with stars for numbers."""
    roles: dict[str, Usage] = {}
    for name, spent in usage.items():
        role = role_of(name)
        roles[role] = roles.get(role, Usage()) + spent
    return roles


def usage_figures(usage: Usage) -> dict[str, Any]:
    """Return all counted figures, and the shares that follow from them."""
    return {
        **dataclasses.asdict(usage),
        "work_share": usage.work_share,
        "stream_share": usage.stream_share,
        "macs_per_cycle": usage.macs_per_cycle,
    }


def waits(counters: Counters) -> str:
    """Return the causes of cycles without work, largest first; those below 0.1 % are left out."""
    spent = dataclasses.asdict(counters)
    cycles = spent.pop("cycles")
    del spent["work"]
    most = sorted(spent.items(), key=lambda cause: -cause[1])
    return ", ".join(f"{name} {n / cycles:.1%}" for name, n in most if n > cycles / 1000)
