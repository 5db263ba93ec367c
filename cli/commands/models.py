"""`hearth models`: what this machine could run."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def models(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print every detail as JSON.")] = False,
) -> None:
    """List the models that this machine could run, and why one of them could not."""
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: run(context, json)))


def run(context: typer.Context, json: bool) -> int:
    """Print the list; the exit status. Raises HearthError."""
    import msgspec

    from engine import LocalEngine

    engine = LocalEngine(context.obj.load().settings, screen_attached=False)
    with asyncio.Runner() as runner:
        try:
            entries = runner.run(engine.models())
        finally:
            runner.run(engine.close())
    if json:
        print(msgspec.json.format(msgspec.json.encode(entries)).decode())
        return 0
    from cli.columns import columns

    rows = [("MODEL", "SIZE", "QUANT", "CONTEXT", "SOURCE", "")]
    for entry in entries:
        context_length = str(entry.context) if entry.context else "-"
        note = f"broken: {entry.broken}" if entry.broken else ""
        size = megabytes(entry.size) if entry.size else "-"
        rows.append((entry.id, size, entry.quantisation or "-", context_length, entry.source, note))
    print(columns(rows))
    return 0


def megabytes(size: int) -> str:
    """`size` in bytes as people read it, with a unit of 1000."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
