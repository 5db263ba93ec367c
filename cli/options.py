"""The one table of generation options: `hearth chat` takes them as flags, `/set` by name, the docs list them.

A new option is a new row; nothing else knows their names. What is not said stays absent from the request, so
that the alias, the model's own values and the settings fill it in. `python -m cli.options` prints the docs.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

if TYPE_CHECKING:
    from engine.errors import InvalidRequest

Values = Mapping[str, tuple[str, ...]]
"""What was said: texts by option name, in order; more than one only where the option may be repeated."""


@dataclass(frozen=True)
class Option:
    """A row. `field` is where the value goes in a GenerationRequest: a field, `sampling.x` or `load.x`."""

    name: str
    metavar: str
    field: str
    read: Callable[[str], Any]
    """From text to value; ValueError with a sentence when it cannot."""
    help: str
    many: bool = False

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("It must be a whole number.") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("It must be a number.") from None


def _duration(text: str) -> float:
    from engine.settings import parse_duration

    return parse_duration(text)


def _stop(text: str) -> str:
    if not text:
        raise ValueError("It must not be empty.")
    return text


def _adapter(text: str) -> Any:
    from engine.types import AdapterRef

    name, equals, scale = text.rpartition("=")
    if not equals:
        return AdapterRef(text)
    if not name:
        raise ValueError("It must be NAME or NAME=SCALE.")
    try:
        return AdapterRef(name, float(scale))
    except ValueError:
        raise ValueError(f"The scale after = must be a number, not {scale!r}.") from None


OPTIONS: tuple[Option, ...] = (
    Option("system", "TEXT", "system", str, "System prompt: who the model is and how it answers."),
    Option(
        "max_new_tokens",
        "N",
        "max_tokens",
        _whole,
        "Stop after this many new tokens. Default: until the window is full.",
    ),
    Option(
        "temperature",
        "X",
        "sampling.temperature",
        _number,
        "How boldly tokens are drawn, 0 to 5; 0 is greedy.",
    ),
    Option(
        "top_p",
        "X",
        "sampling.top_p",
        _number,
        "Draw among the likeliest tokens that together reach this; 1 is off.",
    ),
    Option("top_k", "N", "sampling.top_k", _whole, "Draw among this many likeliest tokens; 0 is off."),
    Option(
        "min_p",
        "X",
        "sampling.min_p",
        _number,
        "Drop tokens below this share of the likeliest one; 0 is off.",
    ),
    Option(
        "repetition_penalty",
        "X",
        "sampling.repetition_penalty",
        _number,
        "Make used tokens less likely; 1 is off.",
    ),
    Option(
        "presence_penalty",
        "X",
        "sampling.presence_penalty",
        _number,
        "Taken once from the logit of each used token, -2 to 2; 0 is off.",
    ),
    Option(
        "frequency_penalty",
        "X",
        "sampling.frequency_penalty",
        _number,
        "Taken from a token's logit for each use, -2 to 2; 0 is off.",
    ),
    Option("stop", "TEXT", "stop", _stop, "Stop before this text; may be given many times.", many=True),
    Option("seed", "N", "sampling.seed", _whole, "Seed of the draw; -1 draws a fresh one each time."),
    Option("ctx", "N", "load.context", _whole, "Context window in tokens; the model is loaded with it."),
    Option(
        "keep_alive",
        "TIME",
        "keep_alive",
        _duration,
        "How long the model stays loaded afterwards: 30s, 5m, 1h, 0 (not at all), -1 (for ever).",
    ),
    Option(
        "adapter",
        "NAME[=SCALE]",
        "adapters",
        _adapter,
        "LoRA adapter, by name or path, and its scale; may be given many times; empty for none.",
        many=True,
    ),
    Option(
        "backend", "NAME", "backend", str, "What runs the model: auto, llama, mlx, transformers or scripted."
    ),
)
BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}


def takes_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a typer command every option of the table; they arrive together as its argument `values`."""
    import typer

    own = inspect.signature(function, eval_str=True)
    kept = [parameter for name, parameter in own.parameters.items() if name != "values"]
    # Values travel as text: the table reads them, so that a wrong one is the same error here and in `/set`.
    added = [
        inspect.Parameter(
            option.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                list[str] | None if option.many else str | None,
                typer.Option(
                    option.flag, metavar=option.metavar, help=option.help, rich_help_panel="Generation"
                ),
            ],
        )
        for option in OPTIONS
    ]

    def command(**arguments: Any) -> Any:
        said: dict[str, tuple[str, ...]] = {}
        for option in OPTIONS:
            value = arguments.pop(option.name)
            if value:
                said[option.name] = tuple(value) if option.many else (value,)
            elif value is not None and not option.many:
                said[option.name] = (value,)
        return function(**arguments, values=said)

    command.__doc__ = function.__doc__
    command.__name__ = function.__name__
    # inspect.signature prefers this to the real one.
    command.__signature__ = own.replace(parameters=[*kept, *added], return_annotation=None)  # type: ignore[attr-defined]
    command.__annotations__ = {}
    return command


def request_fields(values: Values) -> dict[str, Any]:
    """What was said, as keyword arguments of a GenerationRequest, checked against its bounds.

    Raises InvalidRequest naming the flag of the first value that cannot be used.
    """
    import msgspec

    from engine.errors import InvalidRequest
    from engine.sampling import resolve
    from engine.types import GenerationRequest

    fields: dict[str, Any] = {}
    for name, texts in values.items():
        room, _, key = BY_NAME[name].field.rpartition(".")
        (fields.setdefault(room, {}) if room else fields)[key] = _read(BY_NAME[name], texts)
    try:
        checked = msgspec.convert({"model": "", **fields}, GenerationRequest, from_attributes=True)
        resolve(checked.sampling)
    except msgspec.ValidationError as error:
        path = str(error).rpartition("$.")[2].rstrip("`").split("[")[0]
        raise _wrong(_of_field(path), values, str(error).partition(" - at")[0] + ".") from None
    except InvalidRequest as error:
        raise _wrong(_of_field(f"sampling.{error.param}"), values, error.why) from None
    return {name: getattr(checked, name) for name in fields}


def _read(option: Option, texts: tuple[str, ...]) -> Any:
    if option.field == "adapters" and texts == ("",):
        return ()
    try:
        read = tuple(option.read(text) for text in texts)
    except ValueError as error:
        raise _wrong(option, {option.name: texts}, str(error)) from None
    return read if option.many else read[-1]


def _wrong(option: Option, values: Values, why: str) -> InvalidRequest:
    from engine.errors import InvalidRequest

    said = " ".join(repr(text) for text in values[option.name])
    return InvalidRequest(
        f"{option.flag} cannot be {said}.",
        why,
        f"{option.flag} {option.metavar}: {option.help}",
        param=option.name,
    )


def _of_field(field: str) -> Option:
    return next(option for option in OPTIONS if option.field == field)


def docs() -> str:
    """The page `docs/options.md`."""
    return "\n".join(
        [
            "# Generation options",
            "",
            "`hearth chat` and its synonym `hearth run` take these flags; `/set NAME VALUE` in a chat takes",
            "them by the name in the second column. What is not said comes from the alias, then the model's",
            "own values, then the settings, then Hearth's defaults. Written from `cli/options.py` by",
            "`python -m cli.options > docs/options.md`.",
            "",
            "| Flag | `/set` | Meaning |",
            "| --- | --- | --- |",
            *_rows(OPTIONS),
            "",
        ]
    )


def _rows(options: Iterable[Option]) -> list[str]:
    return [f"| `{option.flag} {option.metavar}` | `{option.name}` | {option.help} |" for option in options]


if __name__ == "__main__":
    print(docs(), end="")
