"""Scenes of the Settings workspace for `tui.screenshots`: a file, a variable and a flag say something."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from textual.pilot import Pilot

from tui.app import HearthApp

Drive = Callable[[Pilot[None], HearthApp], Awaitable[None]]
FILE = """\
# the screen
[ui]
animation = "basic"   # calm
images = "blocks"

[runtime]
keep_alive = "30m"
memory_limit = "12GB"

[models]
folders = ["/data/models", "/mnt/archive/gguf"]
"""
NAMES = """\
mistral = "/models/mistral-7b.gguf"
llama3.2 = "bartowski/Llama-3.2-3B-Instruct-GGUF:Q4_K_M"
"""
VARIABLE = "HEARTH_RUNTIME__SLOTS"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _then(*keys: str, text: str = FILE, variable: str = "8") -> Drive:
    async def drive(pilot: Pilot[None], app: HearthApp) -> None:
        file = app.paths.config_file
        _write(file, text)
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = variable
        try:
            app.flags = {"log.level": "debug"}
            app.screen.on_screen_resume()  # type: ignore[attr-defined]  # reads the file
            await pilot.pause(0.3)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.05)
        finally:
            os.environ.pop(VARIABLE, None)
            if before is not None:
                os.environ[VARIABLE] = before

    return drive


SCENES: dict[str, tuple[str, Drive]] = {
    "settings": ("settings", _then()),
    "settings-set": ("settings", _then("c", "down", "down", "down")),
    "settings-search": ("settings", _then("slash", *"memory", "enter")),
    "settings-locked": ("settings", _then("slash", *"slots", "enter")),
    "settings-number": ("settings", _then("slash", *"max_models", "enter", "enter", *"99")),
    "settings-choice": ("settings", _then("slash", *"kv_type", "enter", "enter")),
    "settings-text": ("settings", _then("slash", *"system prompt", "enter", "enter", *"Be brief.")),
    "settings-wrong": ("settings", _then(text=FILE + '[server]\nport = "many"\nprot = 1\n')),
    "settings-names": ("settings", _then("slash", *"models.", "enter", "end", "up", text=FILE + NAMES)),
    "settings-none": ("settings", _then("slash", *"zebra")),
}
"""Scene name: the workspace it starts in, and what is done there."""
