"""`hearth cp SOURCE NAME`: copy an alias, or make one of a model."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def cp(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="An alias, or a model.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name, which nothing has yet.")],
    json: Annotated[bool, typer.Option("--json", help="Print the alias as JSON.")] = False,
) -> None:
    """Copy an alias, or make one of a model."""
    from cli.errors import guarded

    def work() -> int:
        from cli.commands.cache import print_json, with_engine

        kept = with_engine(context, lambda engine: engine.copy_alias(source, name))
        if json:
            print_json(with_engine(context, lambda engine: engine.alias(kept)))
        else:
            print(f"{kept} is a copy of {source}.")
        return 0

    raise typer.Exit(guarded(work))
