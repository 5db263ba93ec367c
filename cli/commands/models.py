"""`hearth models`: what this machine could run."""

from __future__ import annotations

import asyncio
import sys
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

    from cli.engines import opened
    from engine.text_safety import plain

    engine = opened(context.obj, context.obj.load().settings, computes=False)
    with asyncio.Runner() as runner:
        try:
            entries = runner.run(engine.models())
        finally:
            runner.run(engine.close())
    if json:
        print(msgspec.json.format(msgspec.json.encode(entries)).decode())
        return 0
    from cli.columns import room, within

    if not entries:
        from cli.terminal_text import dim

        note = "No model was found. Fetch one with hearth pull, or name a folder of them in models.folders."
        print(dim(note, sys.stderr), file=sys.stderr)
        return 0
    from tui.units import ago, parameters

    heads = ("MODEL", "FAMILY", "PARAMS", "SIZE", "QUANT", "CONTEXT", "READS", "LICENCE", "SOURCE", "USED")
    rows = [(*heads, "ADAPTERS", "")]
    for entry in entries:
        context_length = str(entry.context) if entry.context else "-"
        broken = [f"broken adapter {name}: {reason}" for name, reason in entry.broken_adapters.items()]
        note = f"broken: {entry.broken}" if entry.broken else " ".join(broken)
        size = size_of(entry.size) if entry.size else "-"
        adapters = " ".join(entry.adapters) or "-"
        rows.append(
            (
                entry.id,
                entry.architecture or "-",
                parameters(entry.parameters) if entry.parameters else "-",
                size,
                entry.quantisation or "-",
                context_length,
                "+".join(entry.modalities),
                plain(entry.licence, 16) or "-",
                entry.source,
                ago(entry.used),
                adapters,
                note,
            )
        )
    print(
        within(
            rows, room(), ("LICENCE", "READS", "FAMILY", "ADAPTERS", "USED", "SOURCE", "CONTEXT", "PARAMS")
        )
    )
    return 0


def size_of(count: int) -> str:
    """`count` bytes as people read it, by steps of 1000."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"
