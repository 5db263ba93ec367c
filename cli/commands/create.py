"""`hearth create --alias NAME --model ID`: a name for a model set up in one way."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.flags import takes_options
from cli.options import OF_AN_ALIAS, Values, request_fields

if TYPE_CHECKING:
    from engine.types import Alias, Message

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
@takes_options(options=OF_AN_ALIAS)
def create(
    context: typer.Context,
    alias: Annotated[str, typer.Option("--alias", metavar="NAME", help="The new name.")],
    model: Annotated[
        str,
        typer.Option("--model", metavar="ID", help="A model, MODEL:ADAPTER, a path, or org/name at the hub."),
    ],
    prompt: Annotated[
        str | None,
        typer.Option(
            "--prompt", metavar="NAME", help="A named system prompt, NAME or NAME@3 (`hearth prompts`)."
        ),
    ] = None,
    template: Annotated[
        Path | None,
        typer.Option("--template", metavar="FILE", help="A prompt template (Jinja) in place of the model's."),
    ] = None,
    message: Annotated[
        list[str] | None,
        typer.Option(
            "--message", metavar="ROLE=TEXT", help="Said before every conversation; may be given many times."
        ),
    ] = None,
    json_mode: Annotated[
        bool, typer.Option("--json-mode", help="Answers are JSON objects, unless a request asks otherwise.")
    ] = False,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="What it is for.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also for a model, adapter or prompt that is not here.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--replace", help="In place of the alias that has the name already.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the alias as JSON.")] = False,
    *,
    values: Values,
) -> None:
    """Name a model set up in one way: wherever a model is named, the alias may be.

    What it says goes before the model's own values and the settings; what a request says goes before it. What it
    leaves open stays open.
    """
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine
        from engine.text_safety import plain

        made = alias_of(
            model,
            values,
            prompt=prompt,
            template=None if template is None else _text_of(template),
            messages=tuple(_message(text) for text in message or ()),
            json_mode=json_mode,
            description=description,
        )
        name = with_engine(
            context, lambda engine: engine.put_alias(alias, made, force=force, overwrite=overwrite)
        )
        kept = with_engine(context, lambda engine: engine.alias(name))
        if json:
            print_json(kept)
        else:
            print(f"{name} stands for {plain(made.model, 200)}. See: hearth show {name}")
        return 0

    raise typer.Exit(guarded(work))


def alias_of(model: str, values: Values, **more: Any) -> Alias:
    """The alias that the options say. Raises InvalidRequest naming a flag whose value cannot be used."""
    from engine.types import Alias

    fields = request_fields(values)
    return Alias(model=model, **{name: value for name, value in (fields | more).items() if value is not None})


def _message(text: str) -> Message:
    from engine.errors import InvalidRequest
    from engine.types import Message

    role, equals, said = text.partition("=")
    if not equals or role not in ("system", "user", "assistant"):
        raise InvalidRequest(
            f"--message cannot be {text!r}.",
            "It begins with the role of who says it.",
            "Write system=TEXT, user=TEXT or assistant=TEXT.",
            param="message",
        )
    return Message(role=role, content=said)  # type: ignore[arg-type]


def _text_of(path: Path) -> str:
    from cli.text_files import text_of

    return text_of(path)
