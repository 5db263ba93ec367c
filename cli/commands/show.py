"""`hearth show NAME`: a model or an alias, what it answers with, and where each value comes from."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from engine.types import ModelEntry, Setup

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
LONGEST = 100
"""Characters of a value in the table; `--json` has it whole."""


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def show(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model or an alias.")],
    effective: Annotated[
        bool, typer.Option("--effective", help="Every value that a request gets, and where it comes from.")
    ] = False,
    modelfile: Annotated[bool, typer.Option("--modelfile", help="As an Ollama Modelfile.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print every detail as JSON.")] = False,
) -> None:
    """Show a model or an alias.

    A value comes from the alias, else from the model's makers, else from your settings, else from Hearth's defaults;
    what a request says goes before all of them.
    """
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: _show(context, name, effective, modelfile, json)))


def _show(context: typer.Context, name: str, effective: bool, modelfile: bool, json: bool) -> int:
    from cli.columns import columns
    from cli.commands.cache import print_json, with_engine
    from cli.terminal_text import for_stream

    setup: Setup = with_engine(context, lambda engine: engine.setup(name))
    entry = setup.entry
    if modelfile:
        text = with_engine(context, lambda engine: engine.export_alias(name))
        if json:
            print_json({"name": setup.name, "modelfile": text})
        else:
            print(for_stream(text, sys.stdout), end="")
        return 0
    if json:
        print_json(
            {
                "name": setup.name,
                "kind": "model" if setup.alias is None else "alias",
                "model": setup.model,
                "backend": setup.backend,
                "entry": entry,
                "alias": setup.alias,
                "values": setup.values if effective else [v for v in setup.values if v.origin != "default"],
            }
        )
        return 0
    if not effective:
        print(columns([(label, text) for label, text in _facts(setup, entry) if text]))
        print()
    rows = [
        (each.name, _shown(each.value), each.origin)
        for each in setup.values
        if effective or each.origin == "alias"
    ]
    if rows:
        print(columns([("NAME", "VALUE", "FROM"), *rows]))
    else:
        print("`--effective` lists what it answers with.")
    return 0


def _facts(setup: Setup, entry: ModelEntry | None) -> list[tuple[str, str]]:
    from cli.commands.models import size_of
    from tui.units import ago

    alias = setup.alias
    facts = [("name", setup.name), ("kind", "model" if alias is None else "alias")]
    if alias is not None:
        facts += [
            ("model", alias.model),
            ("description", alias.description),
            ("licence", _line(alias.licence)),
        ]
    if entry is not None:
        facts += [
            ("file", entry.path),
            ("size", size_of(entry.size) if entry.size else ""),
            ("architecture", entry.architecture),
            ("parameters", f"{entry.parameters:,}" if entry.parameters else ""),
            ("quantisation", entry.quantisation),
            ("trained context", f"{entry.context} tokens" if entry.context else ""),
            ("reads", ", ".join(entry.modalities)),
            ("adapters", ", ".join(entry.adapters)),
            ("licence of model", entry.licence),
            ("runs on", ", ".join(entry.backends)),
            ("source", entry.source),
            ("also called", ", ".join(entry.also)),
            ("last used", ago(entry.used) if entry.used else ""),
            *(("note", remark) for remark in entry.remarks),
        ]
    return facts


def _shown(value: Any) -> str:
    import msgspec

    from engine.types import AdapterRef, Message

    if value is None:
        return "-"
    if isinstance(value, tuple) and value and isinstance(value[0], Message):
        return _line(" / ".join(f"{each.role}: {each.text}" for each in value))
    if isinstance(value, tuple) and value and isinstance(value[0], AdapterRef):
        return "+".join(each.name if each.scale == 1 else f"{each.name}={each.scale:g}" for each in value)
    return _line(value if isinstance(value, str) else msgspec.json.encode(value).decode())


def _line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
