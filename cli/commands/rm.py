"""`hearth rm --weights NAME`: delete a pulled model, after saying what that frees."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.commands.cache import DryRun, Json, Yes

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def rm(
    context: typer.Context,
    models: Annotated[
        list[str], typer.Argument(metavar="NAME", help="A model as `hearth models` lists it, or org/name.")
    ],
    weights: Annotated[
        bool, typer.Option("--weights", help="Yes, the weights: they have to be fetched again afterwards.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Delete a model's weights from the cache: all of a repository, or one quantisation of it.

    Says what that frees and asks. A model that is in memory, here or in another program, stays.
    """
    from cli.commands.cache import delete
    from cli.errors import guarded

    def work() -> int:
        from engine.errors import InvalidRequest

        if not weights:
            raise InvalidRequest(
                "Weights are deleted only when they are named.",
                "They are large, and have to be fetched again.",
                f"If that is what you want: hearth rm --weights {' '.join(models)}",
            )
        return delete(context, models, yes=yes, dry_run=dry_run, json=json)

    raise typer.Exit(guarded(work))
