"""On a real engine with `ember`: an alias is made, tried before it is saved, saved, changed in the file, mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from textual.widgets import Input

from engine import paths
from engine.local import LocalEngine
from engine.settings import Settings
from engine.types import Alias
from tests.tui.shell.screen_text import shown, until
from tui.app import HearthApp
from tui.screens.aliases.form import Form
from tui.screens.aliases.screen import AliasesScreen
from tui.screens.aliases.trial import TrialBox
from tui.workspaces import WORKSPACES

HERE = tuple(each for each in WORKSPACES if each.name in ("aliases", "logs"))


@pytest.mark.long
async def test_an_alias_is_tried_saved_and_follows_its_file(hearth_home: Path) -> None:
    engine = LocalEngine(Settings())
    app = HearthApp(engine, Settings(), paths=paths.resolve(), workspaces=HERE)
    file = app.paths.aliases_file
    try:
        async with app.run_test(size=(120, 60)) as pilot:
            await until(pilot, lambda: "No alias yet." in shown(app))
            screen = app.screen
            assert isinstance(screen, AliasesScreen)
            await until(pilot, lambda: any(entry.id == "ember" for entry in screen.entries))
            app.choose_model("ember")
            await pilot.press("n")
            await until(pilot, lambda: isinstance(app.focused, Input))
            await pilot.press("ctrl+u", *"ember", "enter")
            await until(pilot, lambda: "This is the name of a model" in shown(app))
            await pilot.press("ctrl+u", *"brief", "enter")
            form = screen.query_one(Form)
            await until(pilot, lambda: form.has_focus and "✱ new, not saved" in shown(app))
            for field, text in (("sampling.temperature", "0"), ("max_tokens", "3"), ("load.context", "512")):
                form.go_to(field)
                await pilot.press("enter", *text, "enter")
            # What would hold is what the engine says of it.
            await until(pilot, lambda: screen.draft is not None and not screen._is_stale(screen.draft))
            setup = await engine.setup_of(screen.draft.alias)
            assert screen._setups["brief"][1] == setup and not file.exists()
            await pilot.press("t", *"What", "space", *"is", "space", *"the", "space", *"capital", "enter")
            await until(pilot, lambda: "3 tokens" in shown(app) and not screen.query_one(TrialBox).busy)
            assert "token limit reached" in shown(app) and "◆ brief" in shown(app)
            assert engine.loaded()[0].facts.context == 512
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "brief is saved." in shown(app))
            kept = json.loads(file.read_text())
            assert kept["aliases"]["brief"] == {
                "model": "ember", "sampling": {"temperature": 0.0}, "max_tokens": 3, "load": {"context": 512},
            }  # fmt: skip
            # By hand, then by another program, then damaged, then mended.
            kept["aliases"]["brief"]["max_tokens"] = 77
            file.write_text(json.dumps(kept))
            await until(pilot, lambda: screen.draft is not None and screen.draft.alias.max_tokens == 77)
            other = LocalEngine(Settings())
            await other.put_alias("other", Alias(model="ember", system="S"))
            await other.close()
            await until(pilot, lambda: "other" in shown(app))
            whole = file.read_text()
            file.write_text(whole[:-20])
            await until(pilot, lambda: "cannot be read" in shown(app) and "line " in shown(app))
            await pilot.press("escape", "escape")
            form.go_to("max_tokens")
            form.focus()
            await pilot.press("enter", "8", "enter", "ctrl+s")
            await until(pilot, lambda: app.screen.is_modal)
            assert file.read_text() == whole[:-20], "never written over"
            await pilot.press("escape")
            file.write_text(whole)
            await until(pilot, lambda: "cannot be read" not in shown(app))
            await pilot.press("ctrl+s")
            await until(pilot, lambda: '"max_tokens": 778' in file.read_text())
            # One of them is broken by another program: it is told at once, and again sound once it is mended.
            await until(pilot, lambda: "  saved" in shown(app))
            sound = file.read_text()
            said = json.loads(sound)
            said["aliases"]["brief"]["sampling"]["temperature"] = "hot"
            file.write_text(json.dumps(said))
            await until(pilot, lambda: "This alias cannot be used" in shown(app))
            assert "temperature" in shown(app) and "✗ brief" in shown(app) and "  saved" not in shown(app)
            file.write_text(sound)
            await until(pilot, lambda: "cannot be used" not in shown(app) and "  saved" in shown(app))
            # What was changed here and not saved is kept, and the file's trouble told beside it.
            form.go_to("max_tokens")
            form.focus()
            await pilot.press("enter", "9", "enter")
            await until(pilot, lambda: "✱ not saved" in shown(app))
            file.write_text(json.dumps(said))
            await until(pilot, lambda: "✗ brief" in shown(app) and "This alias cannot be used" in shown(app))
            assert "✱ not saved" in shown(app) and screen.draft.alias.max_tokens == 7789
            file.write_text(sound)
            await until(pilot, lambda: "✗ brief" not in shown(app))
            await pilot.press("ctrl+z")
            await until(pilot, lambda: "  saved" in shown(app))
            await pilot.press("d")
            await until(pilot, lambda: '"brief"' not in file.read_text())
            await pilot.press("u")
            await until(pilot, lambda: '"max_tokens": 778' in file.read_text())
    finally:
        await engine.close()
