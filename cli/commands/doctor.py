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
    from engine.types import Hardware, Listed

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
    from cli.doctor import backends, files, kept, machine, models, terminal
    from engine import paths as places
    from engine.settings import Settings

    settings_check, loaded = files.settings(context.obj.load)
    settings = loaded.settings if loaded is not None else Settings()
    paths = places.resolve()
    now, rows = asyncio.run(reading(settings, paths))
    return [
        backends.python(),
        backends.llama(len(now.gpus)),
        *backends.extras(),
        *machine.checks(now),
        settings_check,
        *kept.screen(loaded, paths),
        *files.aliases(paths),
        *kept.prompts(paths),
        kept.conversations(paths),
        *models.checks(rows, settings),
        *files.folders(paths),
        machine.port(settings.server.host, settings.server.port, presence.running(paths)),
        *terminal.checks(),
    ]


async def reading(settings: Settings, paths: Paths) -> tuple[Hardware, list[Listed]]:
    """One look at the machine, and one at its models and aliases."""
    from engine import LocalEngine
    from engine.errors import StorageFailed
    from engine.types import Listed

    engine = LocalEngine(settings, screen_attached=False, paths=paths)
    try:
        try:
            rows = await engine.listing()
        except StorageFailed:
            # Of aliases; the check of their file says it.
            models = await engine.models()
            rows = [Listed(kind="model", name=each.id, model=each.id, entry=each) for each in models]
        return await engine.hardware(), rows
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
