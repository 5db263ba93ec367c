"""`hearth search TEXT`: models of the hub, and those on this machine that match."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from engine.types import HubModel, HubPage, HubQuery

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def search(
    context: typer.Context,
    text: Annotated[list[str] | None, typer.Argument(metavar="TEXT", help="Words of the name.")] = None,
    gguf: Annotated[bool, typer.Option("--gguf", help="Only models with GGUF files.")] = False,
    mlx: Annotated[bool, typer.Option("--mlx", help="Only models for MLX.")] = False,
    safetensors: Annotated[bool, typer.Option("--safetensors", help="Only models with safetensors.")] = False,
    author: Annotated[
        str, typer.Option("--author", metavar="NAME", help="Only models of this account.")
    ] = "",
    task: Annotated[
        str,
        typer.Option("--task", metavar="NAME", help="Only models for this task, such as text-generation."),
    ] = "",
    sort: Annotated[
        str, typer.Option("--sort", metavar="ORDER", help="downloads, likes, date or trending.")
    ] = "downloads",
    max_params: Annotated[
        str | None,
        typer.Option("--max-params", metavar="N", help="No models of more parameters, such as 8B or 500M."),
    ] = None,
    fits: Annotated[
        bool, typer.Option("--fits", help="Only what may fit into this machine's memory.")
    ] = False,
    limit: Annotated[int, typer.Option("--limit", metavar="N", help="How many at most, up to 200.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print every detail as JSON.")] = False,
) -> None:
    """Look for models at the hub. Without a network, what is on this machine is listed at once."""
    from cli.errors import guarded

    def work() -> int:
        libraries = [
            name for name, wanted in (("gguf", gguf), ("mlx", mlx), ("safetensors", safetensors)) if wanted
        ]
        query = query_of(
            " ".join(text or ()),
            libraries,
            author=author,
            task=task,
            sort=sort,
            max_params=max_params,
            fits=fits,
            limit=limit,
        )
        return run(context, query, json)

    raise typer.Exit(guarded(work))


def query_of(
    text: str,
    libraries: list[str],
    *,
    author: str,
    task: str,
    sort: str,
    max_params: str | None,
    fits: bool,
    limit: int,
) -> HubQuery:
    """The query that the flags ask for. Raises InvalidRequest."""
    import msgspec

    from engine.errors import InvalidRequest
    from engine.types import HubQuery

    if len(libraries) > 1:
        raise InvalidRequest(
            "Models of two formats at once cannot be searched for.",
            fix="Name one of --gguf, --mlx, --safetensors.",
        )
    said = {
        "text": text,
        "library": libraries[0] if libraries else None,
        "author": author,
        "task": task,
        "order": sort,
        "most_parameters": _count(max_params) if max_params is not None else None,
        "fits": fits,
        "limit": limit,
    }
    try:
        return msgspec.convert(said, HubQuery)
    except msgspec.ValidationError as error:
        raise InvalidRequest("The search cannot be made.", f"{error}.", "See hearth search --help.") from None


def run(context: typer.Context, query: HubQuery, json: bool) -> int:
    """Print what was found; the exit status. Raises HearthError."""
    import msgspec

    from cli.engines import opened
    from cli.errors import FAILED, OK, show

    engine = opened(context.obj, context.obj.load().settings, computes=False)
    with asyncio.Runner() as runner:
        try:
            page = runner.run(engine.search_hub(query))
        finally:
            runner.run(engine.close())
    if json:
        print(msgspec.json.format(msgspec.json.encode(page)).decode())
    else:
        show_page(page)
    if page.problem is not None:
        show(page.problem)
        return OK if page.local else FAILED
    return OK


def show_page(page: HubPage) -> None:
    """What is here, then what the hub has."""
    from cli.columns import columns
    from cli.commands.models import size_of
    from cli.terminal_text import dim

    if page.local:
        print(dim("On this machine", sys.stdout))
        print(columns([(entry.id, size_of(entry.size), entry.quantisation or "-") for entry in page.local]))
    if page.models:
        if page.local:
            print()
            print(dim("At the hub", sys.stdout))
        rows = [("MODEL", "PARAMS", "FIT", "FORMATS", "DOWNLOADS", "LIKES", "UPDATED", "LICENCE", "")]
        print(columns(rows + [_row(each) for each in page.models]))
    elif page.problem is None:
        print(dim("The hub has nothing that matches.", sys.stderr), file=sys.stderr)


def _row(each: HubModel) -> tuple[str, ...]:
    notes = [
        word
        for word, said in (("here", each.local), ("gated", each.gated), ("private", each.private))
        if said
    ]
    return (
        each.id,
        _short(each.parameters) if each.parameters else "-",
        each.verdict if each.verdict != "unknown" else "-",
        " ".join(each.libraries) or "-",
        _short(each.downloads),
        _short(each.likes),
        each.modified[:10] or "-",
        each.licence or "-",
        ", ".join(notes),
    )


def _short(count: int) -> str:
    """A count in three digits: `7.6B`, `135M`, `12K`."""
    for unit, factor in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if count >= factor:
            value = count / factor
            return f"{value:.1f}{unit}" if value < 10 else f"{value:.0f}{unit}"
    return str(count)


def _count(text: str) -> int:
    from engine.errors import InvalidRequest

    factors = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
    number, unit = (text[:-1], text[-1:].lower()) if text[-1:].isalpha() else (text, "")
    try:
        found = float(number) * (factors[unit] if unit else 1)
        if not 0 <= found < 1e18:
            raise ValueError
    except (ValueError, KeyError):
        raise InvalidRequest(
            f"{text[:40]!r} is no number of parameters.",
            fix="Write it as 8B, 1.5B or 500M.",
            param="max_params",
        ) from None
    return int(found)
