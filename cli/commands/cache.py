"""`hearth cache`: what was pulled, what of it nobody needs, and what deleting it frees."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

if TYPE_CHECKING:
    from engine import Engine
    from engine.types import CacheScan, Freed, NewRevision

_T = TypeVar("_T")

app = typer.Typer(
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Show and tidy up the cache that all Hugging Face programs share.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be freed, and delete nothing.")]


@app.command()
def scan(
    context: typer.Context,
    files: Annotated[bool, typer.Option("--files", help="List every file.")] = False,
    newer: Annotated[bool, typer.Option("--newer", help="Ask the hub for newer revisions.")] = False,
    json: Json = False,
) -> None:
    """List what is in the cache: size, revisions, when it was last used."""
    from cli.errors import guarded

    def work() -> int:
        async def ask(engine: Engine) -> tuple[CacheScan, list[NewRevision]]:
            found = await engine.cache_scan()
            return found, await engine.newer_revisions() if newer else []

        found, revisions = with_engine(context, ask)
        if json:
            print_json({"cache": found, "newer": revisions} if newer else found)
        else:
            _show_scan(found, revisions, files)
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def prune(context: typer.Context, dry_run: DryRun = False, json: Json = False) -> None:
    """Delete what no revision uses, and downloads that were given up a day ago."""
    from cli.errors import guarded

    def work() -> int:
        freed = with_engine(context, lambda engine: engine.cache_prune(dry_run=dry_run))
        if json:
            print_json(freed)
        else:
            show_freed(freed, dry_run=dry_run)
        return 0

    raise typer.Exit(guarded(work))


@app.command()
def clear(
    context: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="REF", help="org/name or org/name:Q4_K_M; all models without it."),
    ] = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Delete the models of the cache, or one of them. Says first what that frees, and asks."""
    from cli.errors import guarded

    def work() -> int:
        if model is not None:
            return delete(context, [model], yes=yes, dry_run=dry_run, json=json)
        found = with_engine(context, lambda engine: engine.cache_scan())
        names = [each.id for each in found.repositories if each.kind == "model"]
        return delete(context, names, yes=yes, dry_run=dry_run, json=json)

    raise typer.Exit(guarded(work))


@app.command()
def verify(
    context: typer.Context,
    models: Annotated[
        list[str] | None, typer.Argument(metavar="REF", help="org/name; all models without it.")
    ] = None,
    json: Json = False,
) -> None:
    """Read the files of models and hold them against their checksums. The exit status is 1 if one is damaged."""
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: with_engine(context, lambda engine: _verify(engine, models, json))))


async def _verify(engine: Engine, models: list[str] | None, json: bool) -> int:
    from cli.commands.models import size_of
    from cli.errors import FAILED, OK
    from engine.text_safety import plain
    from tui.telling.prompt import count

    if models is None:
        found = await engine.cache_scan()
        models = [each.id for each in found.repositories if each.kind == "model" and each.revisions]
    results = []
    for model in models:
        result = await engine.verify_weights(model)
        results.append(result)
        if not json:
            damaged = ", ".join(plain(name, 120) for name in result.damaged)
            verdict = f"damaged: {damaged}" if damaged else "sound"
            print(
                f"{result.id}: {count(result.files, 'file')}, {size_of(result.size)}, {verdict}", flush=True
            )
    if json:
        print_json(results)
    if any(result.damaged for result in results):
        if not json:
            print("Delete what is damaged with hearth rm --weights and pull it again.", file=sys.stderr)
        return FAILED
    return OK


def delete(context: typer.Context, models: list[str], *, yes: bool, dry_run: bool, json: bool) -> int:
    """Say what deleting `models` frees, ask unless told not to, and delete; the exit status. Raises HearthError."""
    from cli.errors import FAILED, OK
    from engine.errors import InvalidRequest
    from engine.types import Freed

    async def each(engine: Engine, dry: bool) -> Freed:
        found = [await engine.delete_weights(model, dry_run=dry) for model in models]
        return Freed(
            size=sum(freed.size for freed in found),
            files=sum(freed.files for freed in found),
            what=tuple(line for freed in found for line in freed.what),
        )

    freed = with_engine(context, lambda engine: each(engine, True), computes=True)
    if not dry_run and freed.files:
        if not yes:
            if not sys.stdin.isatty():
                raise InvalidRequest(
                    "Nothing was deleted: nobody can be asked here.",
                    fix="Add --yes if that is what you want.",
                )
            show_freed(freed, dry_run=True)
            print("Delete it? [y/N] ", end="", flush=True, file=sys.stderr)
            if sys.stdin.readline().strip().lower() not in ("y", "yes"):
                print("Nothing was deleted.", file=sys.stderr)
                return FAILED
        freed = with_engine(context, lambda engine: each(engine, False), computes=True)
    if json:
        print_json(freed)
    else:
        show_freed(freed, dry_run=dry_run)
    return OK


def with_engine(
    context: typer.Context, ask: Callable[[Engine], Awaitable[_T]], *, computes: bool = False
) -> _T:
    """What an engine answers; `computes` as in `cli.engines.opened`. Raises HearthError."""
    from cli.engines import opened

    engine = opened(context.obj, context.obj.load().settings, computes=computes)

    async def asked() -> _T:
        return await ask(engine)

    with asyncio.Runner() as runner:
        try:
            return runner.run(asked())
        finally:
            runner.run(engine.close())


def show_freed(freed: Freed, *, dry_run: bool) -> None:
    """What goes, and what that frees."""
    from cli.commands.models import size_of
    from engine.text_safety import plain

    for line in freed.what:
        print(plain(line, 500))
    print(f"{size_of(freed.size)} {'would be freed' if dry_run else 'freed'}.")


def _show_scan(found: CacheScan, revisions: list[NewRevision], files: bool) -> None:
    from cli.columns import columns
    from cli.commands.models import size_of
    from cli.terminal_text import dim
    from engine.text_safety import plain

    news = {each.id for each in revisions if each.newer}
    failed = {each.id: each.problem.what for each in revisions if each.problem is not None}
    rows = [("REPOSITORY", "KIND", "SIZE", "USED", "REVISIONS", "")]
    for each in found.repositories:
        notes = ["loaded"] if each.loaded else []
        notes += [f"{size_of(each.partial)} unfinished"] if each.partial else []
        notes += [f"{size_of(each.unreferenced)} unused"] if each.unreferenced else []
        notes += ["newer at the hub"] if each.id in news else []
        notes += [failed[each.id]] if each.id in failed else []
        names = " ".join(",".join(revision.refs) or revision.commit[:7] for revision in each.revisions)
        rows.append((each.id, each.kind, size_of(each.size), _ago(each.used), names or "-", ", ".join(notes)))
        if files:
            for revision in each.revisions:
                rows += [
                    (f"  {revision.commit[:7]} {file.path}", "", size_of(file.size), "", "", "")
                    for file in revision.files
                ]
    if len(rows) > 1:
        print(columns(rows))
    for line in found.broken:
        print(dim(f"broken: {plain(line, 300)}", sys.stdout))
    print(dim(f"{size_of(found.size)} in {plain(found.path, 300)}", sys.stdout))


def _ago(moment: float) -> str:
    seconds = max(0.0, time.time() - moment)
    for unit, factor in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * factor:
            return f"{seconds // factor:.0f} {unit} ago"
    return "now"


def print_json(value: object) -> None:
    """`value` for programs, indented for people."""
    import msgspec

    print(msgspec.json.format(msgspec.json.encode(value)).decode())
