"""`hearth ps`, `load` and `unload`: the models in the memory of the running server."""

from __future__ import annotations

import sys
from datetime import datetime
from typing import Annotated, Any

import typer

ps_app, load_app, unload_app = (
    typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
    for _ in range(3)
)
_HELP = {"help_option_names": ["-h", "--help"]}
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Models = Annotated[list[str], typer.Argument(metavar="NAME", help="A model or an alias.")]
SOON = 10.0
"""Seconds to wait for an answer that takes no work."""


@ps_app.command(context_settings=_HELP)
def ps(context: typer.Context, json: Json = False) -> None:
    """List the models that the running server has in memory, and how long they stay."""
    from cli.errors import guarded

    def work() -> int:
        from cli.columns import columns
        from cli.commands.cache import print_json
        from cli.commands.models import size_of
        from cli.server_client import ask
        from cli.terminal_text import dim

        found = ask(context.obj, "GET", "/api/ps", seconds=SOON)["models"]
        if json:
            print_json(found)
            return 0
        if not found:
            print(dim("No model is in memory.", sys.stderr), file=sys.stderr)
            return 0
        rows = [("MODEL", "MEMORY", "ON GPU", "CONTEXT", "STAYS")]
        for each in found:
            size, on_gpu = each.get("size") or 0, each.get("size_vram") or 0
            rows.append(
                (
                    each["name"].removesuffix(":latest"),
                    size_of(size) if size else "-",
                    f"{on_gpu / size:.0%}" if size else "-",
                    str(each.get("context_length") or "-"),
                    _stays(each.get("expires_at")),
                )
            )
        print(columns(rows))
        return 0

    raise typer.Exit(guarded(work))


@load_app.command(context_settings=_HELP)
def load(
    context: typer.Context,
    models: Models,
    keep_alive: Annotated[
        str | None,
        typer.Option("--keep-alive", metavar="TIME", help="How long each stays: 30s, 5m, 1h, -1 (for ever)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Load what does not fit too: it may be slow, or end the server.")
    ] = False,
    json: Json = False,
) -> None:
    """Have the running server load models.

    What does not fit into memory is refused, with the figures.
    """
    from cli.errors import guarded

    def work() -> int:
        said: dict[str, Any] = {"force": force}
        if keep_alive is not None:
            said["keep_alive"] = _seconds(keep_alive)
        return _load(context, models, said, json=json)

    raise typer.Exit(guarded(work))


@unload_app.command(context_settings=_HELP)
def unload(context: typer.Context, models: Models, json: Json = False) -> None:
    """Have the running server let models go; answers that are being written end."""
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: _unload(context, models, json=json)))


def _load(context: typer.Context, models: list[str], more: dict[str, Any], *, json: bool) -> int:
    """One after the other."""
    from cli.commands.cache import print_json
    from cli.server_client import ask
    from engine.text_safety import plain

    for name in models:
        ask(context.obj, "POST", "/hearth/v1/load", {"model": name, **more})
        if not json:
            print(f"{plain(name, 120)} is loaded.")
    if json:
        print_json({"loaded": models})
    return 0


def _unload(context: typer.Context, models: list[str], *, json: bool) -> int:
    """One after the other; one that was not in memory is no mistake, and told apart."""
    from cli.commands.cache import print_json
    from cli.server_client import ask
    from engine.text_safety import plain

    found: dict[str, list[str]] = {"unloaded": [], "not_loaded": []}
    for name in models:
        was_loaded = ask(context.obj, "POST", "/hearth/v1/unload", {"model": name})["was_loaded"]
        found["unloaded" if was_loaded else "not_loaded"].append(name)
        if not json:
            print(f"{plain(name, 120)} is unloaded." if was_loaded else f"{plain(name, 120)} was not loaded.")
    if json:
        print_json(found)
    return 0


def _seconds(text: str) -> float:
    from engine.errors import InvalidRequest
    from engine.settings import parse_duration

    try:
        found = parse_duration(text)
    except ValueError as error:
        raise InvalidRequest(f"--keep-alive cannot be {text!r}.", str(error), param="keep_alive") from None
    if found == 0:
        raise InvalidRequest(
            "A model that is loaded stays for a while.",
            fix="To let one go: hearth unload NAME",
            param="keep_alive",
        )
    return found


def _stays(moment: str | None) -> str:
    """How long from now, in words."""
    if not moment:
        return "-"
    ends = datetime.fromisoformat(moment)
    left = (ends - datetime.now(ends.tzinfo)).total_seconds()
    if left > 10 * 365 * 86400:
        return "for ever"
    for unit, factor in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if left >= 2 * factor:
            return f"{left // factor:.0f} {unit}"
    return f"{max(0, left):.0f} s"
