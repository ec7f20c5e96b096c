"""Parameters of a command that are made from the fields of a dataclass of options."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import typer

from summand.options.declaration import Option, declared

__all__ = ["expanded"]


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command whose dataclasses of options are given as one parameter a field.

    The new parameters take the place of the old one, in the order of the fields. ``command`` is
    called with the dataclass that their values make.

    Parameters
    ----------
    command : callable
        Each parameter whose type is a dataclass is expanded; its fields are annotated with
        :class:`~summand.options.declaration.Option`.

    Raises
    ------
    ValueError
        If two parameters would have the same name.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if dataclasses.is_dataclass(parameter.annotation)
    }

    @functools.wraps(command)
    def run(**values: Any) -> None:
        made = {
            name: options(
                **{field.name: values.pop(field.name) for field, _, _ in declared(options)}
            )
            for name, options in groups.items()
        }
        command(**made, **values)

    parameters = []
    for name, parameter in signature.parameters.items():
        if name in groups:
            parameters += _parameters(groups[name])
        else:
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY))
    run.__dict__["__signature__"] = signature.replace(parameters=parameters)
    return run


def _parameters(options: type) -> Iterator[inspect.Parameter]:
    """Yield a keyword parameter for each field."""
    for field, kind, option in declared(options):
        yield inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=Annotated[kind, _typer_option(field, kind, option)],
        )


def _typer_option(field: dataclasses.Field[Any], kind: type, option: Option) -> Any:
    """Return typer's form of an option; a switch that can be turned off has a form with ``no``."""
    name = "--" + field.name.replace("_", "-")
    if kind is bool and (field.default or option.revocable):
        name += "/--no-" + field.name.replace("_", "-")
    return typer.Option(name, help=option.help, metavar=option.metavar)
