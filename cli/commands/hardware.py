"""`hearth hardware`: what the machine does now, once or every second."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engine import Engine
    from engine.types import Hardware, HardwarePoint

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)

BAR = 24
CURVE_S = 60.0
"""Seconds that the curves of --watch show."""


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def hardware(
    context: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on, once a second, until interrupted.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print readings as JSON, one a line with --watch.")
    ] = False,
) -> None:
    """Say what processors, memory, disks and GPUs do now.

    The models of a workstation that runs elsewhere are not in it; what they take of memory and GPUs is.
    """
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: run(context, watch=watch, json=json)))


def run(context: typer.Context, *, watch: bool, json: bool) -> int:
    """Print a reading, or one a second; the exit status. Raises HearthError."""
    from cli.engines import opened
    from cli.signals import leave_on_signals

    leave_on_signals()
    engine = opened(context.obj, context.obj.load().settings, computes=True)
    with asyncio.Runner() as runner:
        try:
            runner.run(_told(engine, watch=watch, json=json))
        finally:
            runner.run(engine.close())
    return 0


async def _told(engine: Engine, *, watch: bool, json: bool) -> None:
    import msgspec

    history: deque[HardwarePoint] = deque(maxlen=int(CURVE_S))
    while True:
        now = await engine.hardware()
        history.append(now.point)
        if json:
            line = msgspec.json.encode(now)
            print((line if watch else msgspec.json.format(line)).decode(), flush=True)
        else:
            text = page(now, history if watch else ())
            if watch and sys.stdout.isatty():
                # Home, each line to its end, then whatever was below.
                text = "\x1b[H" + text.replace("\n", "\x1b[K\n") + "\x1b[J"
            print(text, flush=True)
        if not watch:
            return
        await asyncio.sleep(1.0)


def page(now: Hardware, history: Sequence[HardwarePoint]) -> str:
    """The reading in lines; with curves where there is a history."""
    from cli.terminal_text import dim, paint
    from engine.text_safety import plain
    from tui import charts
    from tui.telling.machine import cards

    lines = []
    colours = {"": "0", "warn": "33", "error": "31"}
    for card in cards(now, history):
        if card.title == "Tokens":
            # Those of this process, which asks no model anything.
            continue
        note = dim(f"  {plain(card.note, 80)}", sys.stdout) if card.note else ""
        lines.append(paint(card.title, "1", sys.stdout) + note)
        if card.cores:
            lines.append("  " + "cores".ljust(9) + " ".join(f"{core:.0%}" for core in card.cores))
        for figure in card.figures:
            drawn = ""
            if figure.parts:
                drawn = "".join(charts.stacked(figure.parts, BAR))
            elif figure.curve:
                start = now.t_unix - CURVE_S
                values = charts.resampled(figure.curve, start, now.t_unix, BAR, hold=2.0)
                drawn = charts.spark(values, figure.top or charts.ceiling(values, 1.0))
            mark = "! " if figure.level else "  "
            text = f"  {figure.label:<9}{figure.text:<20}{mark}{drawn}".rstrip()
            lines.append(paint(text, colours[figure.level], sys.stdout) if figure.level else text)
        lines += [dim(f"  {plain(remark, 200)}", sys.stdout) for remark in card.remarks]
    lines += [dim(f"{plain(note.what, 200)} {plain(note.fix, 200)}", sys.stdout) for note in now.notes]
    return "\n".join(lines)
