"""`hearth doctor`: checks the machine and Hearth's own files, each with a remedy."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from cli.doctor.check import Check
    from engine.paths import Paths
    from engine.settings import Settings
    from engine.types import Hardware

app = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def doctor(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the checks as JSON.")] = False,
) -> None:
    """Check the machine and Hearth's own files, and say how to mend what is wrong.

    The exit status is 1 if something is broken. Nothing is changed, and no model is loaded.
    """
    from cli.errors import guarded

    raise typer.Exit(guarded(lambda: run(context, json)))


def run(context: typer.Context, json: bool) -> int:
    """Print the checks; the exit status."""
    from cli.errors import FAILED, OK

    found = checks(context)
    broken = sum(check.state == "broken" for check in found)
    if json:
        import msgspec

        print(msgspec.json.format(msgspec.json.encode({"ok": not broken, "checks": found})).decode())
    else:
        show(found)
    return FAILED if broken else OK


def checks(context: typer.Context) -> list[Check]:
    """Everything that can be looked at."""
    from api import presence
    from cli.doctor import backends, files, machine, terminal
    from engine import paths as places

    settings_check, settings = files.settings(context.obj.load)
    paths = places.resolve()
    now = asyncio.run(reading(settings, paths))
    return [
        backends.python(),
        backends.llama(len(now.gpus)),
        *backends.extras(),
        *machine.checks(now),
        settings_check,
        *files.aliases(paths),
        *files.folders(paths),
        machine.port(settings.server.host, settings.server.port, presence.running(paths)),
        *terminal.checks(),
    ]


async def reading(settings: Settings, paths: Paths) -> Hardware:
    """One look at the machine."""
    from engine import LocalEngine

    engine = LocalEngine(settings, screen_attached=False, paths=paths)
    try:
        return await engine.hardware()
    finally:
        await engine.close()


def show(found: list[Check]) -> None:
    """A line a check, its remedy below it, and the sum."""
    from cli.terminal_text import dim, paint
    from engine.text_safety import plain

    looks = {"ok": ("✓", "32"), "note": ("!", "33"), "broken": ("✗", "31")}
    wide = max(len(check.name) for check in found)
    for check in found:
        glyph, colour = looks[check.state]
        print(f"{paint(glyph, colour, sys.stdout)} {check.name:<{wide}}  {plain(check.found, 400)}")
        if check.fix:
            print(dim(f"  {'':<{wide}}  → {plain(check.fix, 400)}", sys.stdout))
    broken = sum(check.state == "broken" for check in found)
    notes = sum(check.state == "note" for check in found)
    said = f"{broken} broken" if broken else "Nothing is broken"
    print(f"\n{said}" + (f", {notes} to note." if notes else "."))
