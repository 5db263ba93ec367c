"""Models and Logs: what they show, what can be done, and at which sizes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from textual.widgets import DataTable, Input

from engine.errors import ModelLoadFailed
from engine.types import LogLine
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import read, shown, until
from tui.app import HearthApp
from tui.recordings import lines
from tui.screens.logs.view import LogView

MakeApp = Callable[..., HearthApp]


async def test_models_are_listed_with_state_and_the_broken_one_says_why(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: "smollm3-3b" in shown(app) and "◐ loading" in shown(app))
        assert "● ready" in shown(app)
        await pilot.press("end")
        await until(pilot, lambda: "The file ends inside" in shown(app))


async def test_load_and_unload(make_app: MakeApp) -> None:
    engine = fake_engine(loaded=[])
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 7)
        await pilot.press("l")
        await until(pilot, lambda: "● ready" in shown(app))
        assert list(engine.resident) == ["ember"]
        await pilot.press("u")
        await until(pilot, lambda: "● ready" not in shown(app) and not engine.resident)


async def test_a_load_that_fails_is_shown_with_its_remedy(make_app: MakeApp) -> None:
    engine = fake_engine(loaded=[])
    engine.fail_load = ModelLoadFailed(
        "It would not load.", "The disk is [red]on fire[/nope].", "Put it out."
    )
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 7)
        await pilot.press("l")
        await until(pilot, lambda: "Put it out." in shown(app))
        assert "[red]on fire[/nope]" in shown(app)
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.is_modal)


async def test_enter_makes_the_chat_talk_to_it_and_the_choice_lasts(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 7)
        await pilot.press("j", "enter")
        await until(pilot, lambda: app.chat_model == "gemma-3-12b-it-qat")
        await until(pilot, lambda: "◆ gemma-3-12b-it-qat" in shown(app))
    assert make_app().chat_model == "gemma-3-12b-it-qat"


async def test_the_filter_narrows_and_escape_shows_all_again(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        table = app.screen.query_one(DataTable)
        await until(pilot, lambda: table.row_count == 7)
        await pilot.press("slash", *"qwen")
        await until(pilot, lambda: table.row_count == 1)
        await pilot.press(*"zz")
        await until(pilot, lambda: "No model here fits" in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: table.row_count == 7)


async def test_sorting_goes_through_the_columns(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "sorted by name" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: "sorted by size" in shown(app))
        text = shown(app)
        assert text.index("llama-3.3") < text.index("mistral-small") < text.index("smollm3")


async def test_logs_are_shown_filtered_and_copied(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("alt+2")
        await until(pilot, lambda: "13 of 13 lines" in shown(app))
        await pilot.press("v", "v", "v")
        await until(pilot, lambda: "1 of 13 lines" in shown(app))
        await pilot.press("y")
        await until(pilot, lambda: "make setup-dev" in app.clipboard)
        await pilot.press("v", "slash", *"catalog")
        await until(pilot, lambda: "2 of 13 lines" in shown(app))


async def test_logs_are_narrowed_to_an_origin_opened_and_written_to_a_file(
    make_app: MakeApp, tmp_path: Path
) -> None:
    engine = fake_engine()
    engine.lines.append(LogLine(t_unix=5.0, level="warning", origin="engine.store", text="a long one " * 40))
    app = make_app(engine=engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("alt+2")
        await until(pilot, lambda: "14 of 14 lines" in shown(app))
        await pilot.press("o")
        await until(pilot, lambda: "Hearth itself" in shown(app) and "llama_context" not in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: "engine.store" in shown(app) and read(app).count("a long one") > 15)
        await pilot.press("o")
        await until(pilot, lambda: "all models" in shown(app) and "llama_context" in shown(app))
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.focused, Input))
        file = tmp_path / "log.jsonl"
        app.focused.value = str(file)  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: file.exists() and file.read_bytes().endswith(b"\n"))
    lines_written = [msgspec.json.decode(line, type=LogLine) for line in file.read_bytes().splitlines()]
    assert lines_written and all(line.origin != "engine.store" for line in lines_written)


async def test_logs_follow_until_the_reader_moves_up(make_app: MakeApp) -> None:
    many = [
        LogLine(t_unix=float(place), level="info", origin="x", text=f"line {place}") for place in range(200)
    ]
    engine = fake_engine(lines=many)
    app = make_app(engine=engine)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("alt+2")
        await until(pilot, lambda: "line 199" in shown(app))
        engine.lines.append(LogLine(t_unix=200.0, level="info", origin="x", text="line 200"))
        await until(pilot, lambda: "line 200" in shown(app))
        await pilot.press("home")
        await until(pilot, lambda: "line 0 " in shown(app))
        engine.lines.append(LogLine(t_unix=201.0, level="info", origin="x", text="line 201"))
        await until(pilot, lambda: "202 lines" in shown(app))
        assert "line 201" not in shown(app)
        await pilot.press("f")
        await until(pilot, lambda: "line 201" in shown(app))
        assert app.screen.query_one(LogView).following


async def test_a_log_that_forgets_its_oldest_lines_keeps_the_cursor_on_its_line(make_app: MakeApp) -> None:
    engine = fake_engine()
    app = make_app(engine=engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("alt+2")
        await until(pilot, lambda: "13 of 13" in shown(app))
        await pilot.press("k", "k")
        view = app.screen.query_one(LogView)
        before = view.current
        engine.lines = lines()[4:]
        await until(pilot, lambda: "9 of 9" in shown(app))
        assert view.current == before


@pytest.mark.parametrize(
    "size",
    [
        (20, 8),
        *(pytest.param(size, marks=pytest.mark.long) for size in ((48, 20), (80, 24), (100, 30), (300, 100))),
    ],
)
async def test_every_size_works(make_app: MakeApp, size: tuple[int, int]) -> None:
    app = make_app()
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.screen.query_one(DataTable).row_count == 7)
        assert app.screen.query_one("Rail").display is (size[0] >= 100)
        for keys in (
            ["ctrl+k", "escape"],
            ["f1", "escape"],
            ["ctrl+t", "escape"],
            ["ctrl+o", "escape"],
            ["ctrl+g", "escape"],
            ["alt+2"],
            ["alt+1"],
        ):
            await pilot.press(*keys)
            await pilot.pause()
        await pilot.resize_terminal(size[0] + 30, size[1] + 3)
        await pilot.pause()
        assert not app.screen.is_modal
        assert all(len(line) <= size[0] + 30 for line in shown(app).splitlines())


async def test_without_models_the_pane_says_what_to_do(make_app: MakeApp) -> None:
    app = make_app(engine=fake_engine(entries=[], loaded=[]))
    async with app.run_test() as pilot:
        await until(pilot, lambda: "models.folders" in shown(app))
        await pilot.press("l", "u", "s", "y", "enter", "ctrl+k")
        await until(pilot, lambda: "No model is here yet" in shown(app))
        assert isinstance(app.focused, Input)
