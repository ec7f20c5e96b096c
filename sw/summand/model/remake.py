"""The command that makes a model anew, from the manifest of one that cannot be read any more."""

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["remake_command"]

#: Options that have a ``--no-`` form; others are simply left out where they are false.
_NEGATABLE = ("balance", "rotate")


def remake_command(raw: Mapping[str, Any]) -> str:
    """Return a ``summand compress`` line with what a manifest's source and options say.

    What is strange in them is left out, since nobody has checked them.
    """
    source, options = raw.get("source"), raw.get("options")
    words = ["summand", "compress"]
    if isinstance(source, dict):
        path = source.get("path") or source.get("kind")
        words.append(shlex.quote(path) if isinstance(path, str) and path.isprintable() else "MODEL")
    else:
        words.append("MODEL")
    words += ["-o", "DIR"]
    if isinstance(options, dict):
        words += _flags(options)
    return " ".join(words)


def _is_plain(value: str) -> bool:
    """Whether a value is a name, or a pattern such as 2:4."""
    return value.isidentifier() or re.fullmatch(r"[0-9]{1,2}:[0-9]{1,2}", value) is not None


def _flags(options: Mapping[str, Any]) -> Iterator[str]:
    for name, value in options.items():
        if not name.isidentifier():
            continue
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            if value or name in _NEGATABLE:
                yield f"--{'' if value else 'no-'}{flag}"
        elif isinstance(value, int) or (isinstance(value, str) and _is_plain(value)):
            yield f"--{flag} {value}"
    calibration = options.get("calibration")
    if isinstance(calibration, dict) and isinstance(tokens := calibration.get("tokens"), int):
        yield f"--calibration-tokens {tokens}"
    target = options.get("target")
    if isinstance(target, dict):
        for name in ("bits", "kl"):
            if isinstance(value := target.get(name), float | int):
                yield f"--target-{name} {value}"
    found = options.get("decomposition")
    if isinstance(found, dict) and isinstance(bound := found.get("bound"), float | int):
        yield f"--decompose-loss {bound}"
        if isinstance(steps := found.get("steps"), int) and steps != 1:
            yield f"--decompose-steps {steps}"
