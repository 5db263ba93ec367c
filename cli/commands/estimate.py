"""`hearth estimate MODEL`: what loading a model would take in memory, device by device, before anything is loaded."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.flags import takes_options
from cli.options import OF_A_LOAD, Values, request_fields

if TYPE_CHECKING:
    from engine.types import Estimate

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
@takes_options(options=OF_A_LOAD)
def estimate(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="A model; the default model if none is named.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print every figure as JSON, in bytes.")] = False,
    *,
    values: Values,
) -> None:
    """Say what loading a model would take in memory, and whether that fits.

    The exit status is 1 if it does not fit. Nothing is loaded; a file that is new here is tried in a process of
    its own first.
    """
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: run(context, model, values, json)))


def run(context: typer.Context, model: str | None, values: Values, json: bool) -> int:
    """Print the estimate; the exit status. Raises HearthError."""
    import msgspec

    from cli.engines import opened
    from cli.errors import FAILED, OK
    from engine.types import LoadOptions

    options = request_fields(values).get("load") or LoadOptions()
    settings = context.obj.load().settings
    engine = opened(context.obj, settings, computes=True)
    with asyncio.Runner() as runner:
        try:
            found = runner.run(engine.estimate(model or settings.models.default, options))
        finally:
            runner.run(engine.close())
    if json:
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        show(found, options.context)
    return OK if found.fits else FAILED


def show(found: Estimate, asked: int | None = None) -> None:
    """The figures in columns, a row a device, then the verdict and what else is to be known.

    `asked` is the window that was asked for, which may be more than the model can have.
    """
    from cli.columns import columns
    from cli.terminal_text import dim, paint
    from tui.telling import memory, prompt

    table = memory.needs(found)
    heads = ("DEVICE", *(label.upper() for label, _ in table.rows))
    rows = [
        (device, *(cells[place] for _, cells in table.rows)) for place, device in enumerate(table.columns)
    ]
    print(columns([heads, *rows]))
    said = memory.verdict(found)
    print(
        f"{said[0].upper()}{said[1:]}."
        if found.fits
        else paint(f"{said[0].upper()}{said[1:]}.", "31", sys.stdout)
    )
    smaller = prompt.smaller_window(found.context, asked)
    remarks = [f"{smaller[0].upper()}{smaller[1:]}."] if smaller else []
    for remark in [*remarks, *memory.consequences(found), *memory.remarks(found)]:
        print(dim(remark, sys.stdout))
