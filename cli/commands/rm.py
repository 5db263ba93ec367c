"""`hearth rm NAME`: remove an alias; with `--weights` delete a pulled model, after saying what that frees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.cache import DryRun, Json, Yes

if TYPE_CHECKING:
    from engine import Engine
    from engine.types import ModelEntry

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def rm(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME", help="An alias; with --weights a model as `hearth models` lists it, or org/name."
        ),
    ],
    weights: Annotated[
        bool, typer.Option("--weights", help="Yes, the weights: they have to be fetched again afterwards.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Remove an alias; its model stays.

    With --weights: delete a model's weights from the cache, all of a repository or one quantisation of it. That says
    what it frees and asks. A model that is in memory, here or in another program, stays.
    """
    from cli.commands.cache import delete
    from cli.errors import guarded

    def work() -> int:
        if weights:
            return delete(context, names, yes=yes, dry_run=dry_run, json=json)
        return remove_aliases(context, names, dry_run=dry_run, json=json)

    raise typer.Exit(guarded(work))


def remove_aliases(context: typer.Context, names: list[str], *, dry_run: bool, json: bool) -> int:
    """Remove aliases one after the other; the exit status. Raises HearthError for what is none."""
    from cli.commands.cache import print_json, with_engine

    of_settings = {each.lower(): each for each in context.obj.load().settings.models.names}
    removed = with_engine(context, lambda engine: _removed(engine, names, of_settings, dry_run=dry_run))
    if json:
        print_json({"removed": removed, "dry_run": dry_run})
    else:
        for name in removed:
            print(f"{name} would be removed." if dry_run else f"{name} is removed; its model stays.")
    return 0


def _removal(entry: ModelEntry) -> str:
    """How a model is deleted that does not lie in the cache."""
    if entry.source == "starter":
        return "it is part of Hearth and stays."
    # Another program's are deleted by it.
    return entry.removal or f"delete {entry.path} yourself."


async def _removed(
    engine: Engine, names: list[str], of_settings: Mapping[str, str], *, dry_run: bool
) -> list[str]:
    from engine.errors import InvalidRequest
    from engine.text_safety import plain

    # All of them are looked at before the first is removed.
    aliases = {each.name.lower(): each.name for each in await engine.aliases()}
    entries = await engine.models()
    ids = {entry.id.lower() for entry in entries}
    removals = {entry.id.lower(): _removal(entry) for entry in entries if entry.source != "huggingface"}
    # A repository is named without its quantisation too.
    models = ids | {each.partition(":")[0] for each in ids}
    keys = [name.strip().lower().removesuffix(":latest") for name in names]
    for name, key in zip(names, keys, strict=True):
        if key not in aliases and key in of_settings:
            raise InvalidRequest(
                f"{plain(name, 120)!r} is a name of your settings, and no alias.",
                fix=f"Take it out there: hearth config unset models.{of_settings[key]}",
                param="name",
            )
        if key not in aliases and key in models:
            raise InvalidRequest(
                f"{plain(name, 120)!r} is a model, and no alias.",
                "Weights are deleted only when they are named: they are large, and have to be fetched again.",
                f"If that is what you want: {removals.get(key) or f'hearth rm --weights {plain(name, 120)}'}",
                param="name",
            )
        if key not in aliases:
            # Says so, with names that are near.
            await engine.alias(name)
    found = [aliases[key] for key in dict.fromkeys(keys)]
    return found if dry_run else [await engine.remove_alias(name) for name in found]
