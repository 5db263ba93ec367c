"""`hearth adapters`: the LoRA adapters that go with models."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="List, add and remove LoRA adapters.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("list")
def list_(
    context: typer.Context,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", help="Only those of this model.")] = None,
    json: Json = False,
) -> None:
    """List the adapters that fit each model, and those that none could use."""
    from cli.errors import guarded

    def work() -> int:
        from cli.columns import columns
        from cli.commands.cache import print_json, with_engine
        from cli.terminal_text import dim

        entries = with_engine(context, lambda engine: engine.models())
        if model is not None:
            wanted = with_engine(context, lambda engine: engine.setup(model)).model
            entries = [entry for entry in entries if entry.id == wanted]
        if json:
            print_json(
                [
                    {"model": entry.id, "adapters": entry.adapters, "broken": entry.broken_adapters}
                    for entry in entries
                ]
            )
            return 0
        rows = [(entry.id, name, "") for entry in entries for name in entry.adapters]
        rows += [
            (entry.id, name, f"broken: {why}")
            for entry in entries
            for name, why in entry.broken_adapters.items()
        ]
        if rows:
            print(columns([("MODEL", "ADAPTER", ""), *rows]))
        else:
            print(dim("There is none. Add one with: hearth adapters add PATH", sys.stderr), file=sys.stderr)
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def add(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="A GGUF file, or a folder of PEFT or mlx-lm.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What to call it; as the file without it.")
    ] = None,
    json: Json = False,
) -> None:
    """Copy an adapter into Hearth's own folder, for every model that it fits."""
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine

        kept = with_engine(context, lambda engine: engine.add_adapter(path, name))
        entries = with_engine(context, lambda engine: engine.models())
        fits = [entry.id for entry in entries if kept in entry.adapters]
        if json:
            print_json({"name": kept, "fits": fits})
        else:
            print(f"{kept} is added. It fits: {', '.join(fits) or 'no model that is here'}.")
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def rm(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="An adapter that was added.")],
    json: Json = False,
) -> None:
    """Delete an adapter from Hearth's own folder. Those that lie beside models stay."""
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine

        with_engine(context, lambda engine: engine.remove_adapter(name))
        if json:
            print_json({"removed": name})
        else:
            print(f"{name} is removed.")
        return 0

    raise typer.Exit(guarded(work))
