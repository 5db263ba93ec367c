"""The Hardware workspace: readings once a second while in sight, models cared for by keys, every size and theme."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from engine import LocalEngine, paths
from engine.errors import StorageFailed
from engine.settings import Settings
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown, until
from tui.app import HearthApp
from tui.recorded import RecordedEngine
from tui.recorded_machines import at_work, desktop, mac, points_before, workstation
from tui.recordings import loaded
from tui.screens.hardware import screen as hardware
from tui.workspaces import WORKSPACES

HERE = tuple(workspace for workspace in WORKSPACES if workspace.name in ("hardware", "logs"))
MakeApp = Callable[..., HearthApp]


@pytest.fixture
def home(tmp_path: Path) -> paths.Paths:
    return paths.resolve({"HEARTH_HOME": str(tmp_path)})


@pytest.fixture
def make_app(home: paths.Paths) -> MakeApp:
    def make(engine: Any) -> HearthApp:
        return HearthApp(engine, Settings(), paths=home, workspaces=HERE)

    return make


def working(**changes: Any) -> RecordedEngine:
    models = at_work(loaded())
    machine = workstation(models)
    return fake_engine(loaded=models, machine=machine, points=points_before(machine), **changes)


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 60)])
async def test_everything_is_in_sight_at_every_size(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app(working())
    async with app.run_test(size=size) as pilot:
        for words in ("Processor", "Memory", "GPU 0", "GPU 1", "Tokens", "23.1 of 24 GiB !", "412 of 450 W"):
            await until(pilot, lambda words=words: words in shown(app))
        for words in ("Models in memory", "ember", "92.4", "1 running", "at work", "curves of 5 min"):
            await until(pilot, lambda words=words: words in shown(app))


async def test_the_machine_is_read_only_while_the_screen_is_in_sight(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "INTERVAL_S", 0.05)
    engine = working()
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: engine.looks > 3)
        await pilot.press("alt+2")
        await until(pilot, lambda: app.current_mode == "logs")
        await pilot.pause(0.1)
        before = engine.looks
        await pilot.pause(0.2)
        assert engine.looks == before
        await pilot.press("alt+1")
        await until(pilot, lambda: engine.looks > before)


async def test_models_are_loaded_pinned_unloaded_and_chosen_by_keys(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "INTERVAL_S", 0.05)
    engine = working()
    app = make_app(engine)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "1 running" in shown(app))
        await pilot.press("p")
        await until(pilot, lambda: engine.resident["ember"].pinned and "1 pinned" in shown(app))
        await pilot.press("p")
        await until(pilot, lambda: not engine.resident["ember"].pinned)

        await pilot.press("u")
        await until(pilot, lambda: "It is answering" in shown(app))
        await pilot.press("escape")
        assert "ember" in engine.resident
        engine.resident["ember"] = replace(engine.resident["ember"], state="ready", active=0)
        await until(pilot, lambda: "● ready" in shown(app))
        await pilot.press("u")
        await until(pilot, lambda: "ember" not in engine.resident)

        await pilot.press("l")
        await until(pilot, lambda: "Load a model" in shown(app) and "smollm3-3b" in shown(app))
        await pilot.press(*"smol", "enter")
        await until(pilot, lambda: "smollm3-3b" in engine.resident and "64 MiB" in shown(app))
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.chat_model == "smollm3-3b")


async def test_without_models_it_says_how_to_get_one(make_app: MakeApp) -> None:
    machine = desktop()
    app = make_app(fake_engine(loaded=[], machine=machine, points=points_before(machine)))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "none: l loads one" in shown(app))
        for key, words in (("u", "No model is in memory."), ("p", "Only a model in memory")):
            await pilot.press(key)
            await until(pilot, lambda words=words: words in shown(app))
        await pilot.press("enter", "j", "k")
        assert app.is_running


async def test_a_longer_and_a_shorter_time(make_app: MakeApp) -> None:
    app = make_app(working())
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "curves of 5 min" in shown(app))
        for key, words in (
            ("plus", "15 min"),
            ("t", "1 h"),
            ("minus", "15 min"),
            ("T", "5 min"),
            ("minus", "1 min"),
        ):
            await pilot.press(key)
            await until(pilot, lambda words=words: f"curves of {words}" in shown(app))
        await pilot.press("minus")
        await until(pilot, lambda: "curves of 1 min" in shown(app))


async def test_what_is_missing_is_told_with_its_remedy(make_app: MakeApp) -> None:
    app = make_app(fake_engine(machine=mac(), points=[]))
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "brew install macmon" in shown(app))
        assert "nothing yet" not in shown(app), "the reading itself is the first point"


async def test_an_engine_that_cannot_read_says_why_and_it_goes_on(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "INTERVAL_S", 0.05)
    engine = working()
    reading = engine.hardware

    async def refuse() -> Any:
        raise StorageFailed("The machine [cannot] be read.", "No sensors.", "Look again.")

    monkeypatch.setattr(engine, "hardware", refuse)
    app = make_app(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "The machine [cannot] be read." in shown(app))
        monkeypatch.setattr(engine, "hardware", reading)
        await until(pilot, lambda: "Processor" in shown(app))


async def test_the_reading_is_copied_as_json(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    app = make_app(working())
    copied: list[str] = []
    monkeypatch.setattr(app, "copy", copied.append)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "Processor" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: bool(copied))
        assert msgspec.json.decode(copied[0])["cpu"]["load"] == [7.31, 6.12, 5.5]


async def test_hostile_names_are_only_text(make_app: MakeApp) -> None:
    engine = working()
    evil = "evil[/]\x1b]0;owned\x07 [red]" + "x" * 300
    engine.machine = replace(engine.machine, gpus=(replace(engine.machine.gpus[0], name=evil),), system=evil)
    engine.resident = {evil: replace(engine.resident["ember"], id=evil)}
    app = make_app(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: "evil[/]" in shown(app) and "Tokens" in shown(app))
        assert "\x1b" not in shown(app)


async def test_clicks_choose_models(make_app: MakeApp) -> None:
    app = make_app(working())
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: "qwen3-8b" in shown(app))
        row = next(place for place, line in enumerate(shown(app).splitlines()) if "qwen3-8b" in line)
        await pilot.click(offset=(20, row))
        await until(pilot, lambda: app.screen.query_one("#resident").cursor_row == 1)  # type: ignore[attr-defined]


async def test_the_real_machine_with_the_starter_model(make_app: MakeApp, home: paths.Paths) -> None:
    engine = LocalEngine(Settings(), paths=home)
    app = make_app(engine)
    try:
        async with app.run_test(size=(120, 40)) as pilot:
            await until(pilot, lambda: "Processor" in shown(app) and "free" in shown(app))
            await engine.load("ember", keep_alive=600)
            await until(pilot, lambda: "● ready" in shown(app) and "in 9:" in shown(app))
            await pilot.press("u")
            await until(pilot, lambda: "none: l loads one" in shown(app))
    finally:
        await engine.close()
