"""Flags from the table of `cli.options`: gives a typer command one for each row, and hands it what was said as text."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

from cli.options import OPTIONS, Option


def takes_options(
    function: Callable[..., Any] | None = None, *, options: tuple[Option, ...] = OPTIONS
) -> Callable[..., Any]:
    """Give a typer command every option of the table; they arrive together as its argument `values`."""
    if function is None:
        return lambda wrapped: takes_options(wrapped, options=options)

    own = inspect.signature(function, eval_str=True)
    kept = [parameter for name, parameter in own.parameters.items() if name != "values"]
    added = [_parameter(option, option.name, option.flag) for option in options]
    added += [
        _parameter(option, _also(option), "--" + option.also.replace("_", "-"), hidden=True)
        for option in options
        if option.also
    ]

    def command(**arguments: Any) -> Any:
        said: dict[str, tuple[str, ...]] = {}
        for option in options:
            value = arguments.pop(option.name)
            other = arguments.pop(_also(option)) if option.also else None
            texts = _texts(option, other if value is None else value)
            if texts:
                said[option.name] = texts
        return function(**arguments, values=said)

    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    # inspect.signature prefers this to the real one.
    command.__signature__ = own.replace(parameters=[*kept, *added], return_annotation=None)  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


def _also(option: Option) -> str:
    """The name of the parameter that takes an option under its other name."""
    return f"also_{option.name}"


def _parameter(option: Option, name: str, flag: str, *, hidden: bool = False) -> inspect.Parameter:
    import typer

    # Values travel as text: the table reads them, so that a wrong one is the same error here and in `/set`.
    kind: Any = bool | None if option.is_switch else list[str] | None if option.many else str | None
    info = typer.Option(
        f"{flag}/--no-{flag[2:]}" if option.negative else flag,
        metavar=option.metavar or None,
        help=option.help,
        rich_help_panel=option.panel,
        hidden=hidden,
    )
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, info]
    )


def _texts(option: Option, value: Any) -> tuple[str, ...]:
    """What was said as texts; empty if nothing was."""
    if value is None:
        return ()
    if option.is_switch:
        return ("on" if value else "off",)
    return tuple(value) if option.many else (value,)
