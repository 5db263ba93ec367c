"""Deleting a model's files: what that would free is asked first, then the person, then it is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.screen import Screen

from engine.errors import HearthError
from engine.text_safety import plain
from engine.types import Freed
from tui import units
from tui.confirm import Confirm

if TYPE_CHECKING:
    from tui.app import HearthApp

MOST = 6
"""Items that are named one by one."""


async def ask(app: HearthApp, screen: Screen[object], model: str, after: Callable[[], None]) -> None:
    """Say what deleting `model` frees, and do it on a yes; `after` is called when it is done.

    What is in memory or in use is refused by the engine; that is shown with its remedy.
    """
    try:
        engine = await app.connection.reached()
        freed = await engine.delete_weights(model, dry_run=True)
    except HearthError as error:
        app.show_error(error)
        return

    def answered(sure: bool | None) -> None:
        if sure:
            screen.run_worker(_delete(app, model, after), group="delete")

    app.push_screen(Confirm(f"Delete {plain(model, 80)}?", detail(freed)), answered)


def detail(freed: Freed) -> str:
    """What goes, and that it would have to be fetched again."""
    named = [f"  {plain(item, 120)}" for item in freed.what[:MOST]]
    if len(freed.what) > MOST:
        named.append(f"  and {len(freed.what) - MOST} more")
    files = f"{freed.files} file{'' if freed.files == 1 else 's'}"
    return "\n".join(
        [f"Frees {units.size(freed.size)} in {files}:", *named, "It would have to be fetched again."]
    )


async def _delete(app: HearthApp, model: str, after: Callable[[], None]) -> None:
    try:
        freed = await app.engine.delete_weights(model)
    except HearthError as error:
        app.show_error(error)
    else:
        app.flash(f"{model} is deleted: {units.size(freed.size)} are free.", "success")
    after()
