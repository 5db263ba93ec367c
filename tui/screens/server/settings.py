"""Settings of the server that its workspace changes: in the user's file, and at once where a server can take them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from engine import settings
from engine.errors import HearthError, InvalidSettings
from engine.text_safety import plain
from tui.line_dialogue import LineDialogue

if TYPE_CHECKING:
    from tui.app import HearthApp

TITLES = {
    "server.host": "Address to listen on",
    "server.port": "Port to listen on",
    "server.allowed_origins": "Let an origin in",
    "server.allowed_hosts": "Let a host name in",
}
NOTES = {
    "server.host": "127.0.0.1 is this machine alone. 0.0.0.0 is every network, and needs a key.",
    "server.port": "Ollama's is 11434, which most clients try by themselves.",
    "server.allowed_origins": "Scheme, host and port of a web page, such as http://localhost:3000.",
    "server.allowed_hosts": "A name that this machine has in its network, such as studio.local.",
}


async def change(app: HearthApp, key: str, text: str = "") -> bool:
    """Ask for a value of `key`, with `text` to begin with, and go by it; whether it was changed.

    Address and port are those of the next time that the server is switched on.
    """
    shown = text or str(settings.value_of(app.settings, key))
    said = await app.push_screen_wait(LineDialogue(TITLES[key], shown, note=NOTES[key]))
    return bool(said) and await write(app, key, str(said))


async def allow(app: HearthApp, key: str, suggestion: str = "") -> bool:
    """Ask for one entry more of a list, with `suggestion` to begin with."""
    said = await app.push_screen_wait(LineDialogue(TITLES[key], suggestion, note=NOTES[key]))
    if not said:
        return False
    present = settings.value_of(app.settings, key)
    if said in present:
        app.flash(f"{plain(said, 60)} is let in already.")
        return False
    if await write(app, key, ", ".join([*present, said])):
        app.flash(f"{plain(said, 60)} is let in.", "success")
        return True
    return False


async def forbid(app: HearthApp, key: str, value: str) -> None:
    """Take an entry of a list back."""
    left = [each for each in settings.value_of(app.settings, key) if each != value]
    if await write(app, key, ", ".join(left)):
        app.flash(f"{plain(value, 60)} is not let in any more.", "success")


async def write(app: HearthApp, key: str, text: str) -> bool:
    """Write `key` into the user's file, read all settings again and go by them."""

    def work() -> settings.Settings:
        own = settings.load_with_sources(app.config_path, cli=dict(app.flags)).own
        if text:
            settings.set_value(own, key, text)
        else:
            settings.unset(own, key)
        found = settings.load_with_sources(app.config_path, cli=dict(app.flags))
        return found.settings

    try:
        now = await asyncio.to_thread(work)
    except HearthError as error:
        app.show_error(error)
        return False
    wanted = settings.value_of(now, key)
    app.take_settings(now)
    if settings.value_of(app.settings, key) != wanted:
        # Of those that wait for a new start the server's own are taken when it is switched on.
        app.serve_with(key, wanted)
    return not (text and _said_elsewhere(app, key, wanted, text))


def _said_elsewhere(app: HearthApp, key: str, wanted: object, text: str) -> bool:
    """Whether a variable or a flag says something else, so that the file counts for nothing."""
    parsed = settings.parsed(key, text, app.paths.config)
    if parsed == wanted:
        return False
    app.show_error(
        InvalidSettings(
            f"{key} stays {wanted}.",
            "A variable of the environment or a flag says so, which counts for more than the file.",
            f"Unset {_variable(key)}, and open Hearth anew.",
        )
    )
    return True


def _variable(key: str) -> str:
    return "HEARTH_" + key.replace(".", "__").upper()
