"""What opens above a workspace: palette, help, jump mode, picker, errors, flashes."""

from __future__ import annotations

from collections.abc import Callable

from textual.widgets import DataTable, OptionList

from engine.errors import StorageFailed
from engine.types import Alias, NamedAlias
from tests.tui.fake_engine import fake_engine
from tests.tui.shell.screen_text import shown, until
from tui.app import HearthApp
from tui.confirm import Confirm
from tui.help import gather

MakeApp = Callable[..., HearthApp]


async def test_the_palette_runs_actions_places_themes_and_models(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(100, 40)) as pilot:
        for query, reached in (
            ("go to logs", lambda: app.current_mode == "logs"),
            ("go to models", lambda: app.current_mode == "models"),
            ("theme ash", lambda: app.theme == "ash"),
            ("chat with smol", lambda: app.chat_model == "smollm3-3b"),
            ("sort by", lambda: "sorted by size" in shown(app)),
        ):
            await pilot.press("ctrl+p")
            await until(pilot, lambda: app.screen.is_modal)
            await pilot.press(*("space" if letter == " " else letter for letter in query))
            await until(pilot, lambda: app.screen.query_one(OptionList).option_count == 1)
            await pilot.press("enter")
            await until(pilot, reached)
            await until(pilot, lambda: not app.screen.is_modal)


async def test_the_palette_offers_only_what_works_here(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(100, 60)) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Load this model" in shown(app))
        assert "Filter the log lines" not in shown(app)


async def test_help_lists_the_keys_that_work_with_the_focus_where_it_is(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(100, 60)) as pilot:
        await until(pilot, lambda: isinstance(app.focused, DataTable))
        told = gather(app)
        keys = {title: dict(section.rows) for section in told.sections for title in [section.title]}
        assert keys["Models here"]["l"] == "Load this model"
        assert keys["Everywhere"]["f1  ?"] or keys["Everywhere"]["f1"]
        assert "starter model" in told.text
        active = {app.get_key_display(found.binding) for found in app.screen.active_bindings.values()}
        listed = {key for rows in keys.values() for joined in rows for key in joined.split("  ")}
        assert listed <= active
        await pilot.press("slash", "f1")
        await until(pilot, lambda: app.screen.is_modal)
        assert "Models" in shown(app)


async def test_help_shows_a_key_that_was_rebound(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.focused, DataTable))
        app.set_keymap({"models.load": "f12"})
        rows = {told: key for section in gather(app).sections for key, told in section.rows}
        assert rows["Load this model"] == "f12"


async def test_a_question_mark_is_help_in_a_table_and_a_letter_in_a_field(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await until(pilot, lambda: isinstance(app.focused, DataTable))
        await pilot.press("slash", "question_mark")
        await pilot.pause()
        assert not app.screen.is_modal
        assert app.screen.query_one("#filter").value == "?"
        await pilot.press("escape", "question_mark")
        await until(pilot, lambda: app.screen.is_modal)


async def test_jump_mode_goes_to_the_pane_of_the_letter(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: isinstance(app.focused, DataTable) and app.focused.row_count == 7)
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "Jump: press a letter" in shown(app))
        await pilot.press("s")
        await until(pilot, lambda: app.focused is not None and app.focused.id == "detail")
        await pilot.press("ctrl+o", "escape")
        await pilot.pause()
        assert app.focused is not None and app.focused.id == "detail"


async def test_the_picker_narrows_and_chooses(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+k")
        await until(pilot, lambda: "6 of 6" in shown(app))
        assert "phi-4" not in "\n".join(line for line in shown(app).splitlines() if "│" in line)
        await pilot.press(*"mistral")
        await until(pilot, lambda: "1 of 6" in shown(app))
        await pilot.press("enter")
        await until(pilot, lambda: app.chat_model == "mistral-small-3.2-24b")


async def test_the_picker_offers_aliases_beside_models(make_app: MakeApp) -> None:
    engine = fake_engine()
    engine.named = [
        NamedAlias(name="my-poet", alias=Alias(model="smollm3-3b")),
        NamedAlias(name="torn", broken="line 3, column 5: no"),
        NamedAlias(name="by-path", alias=Alias(model="/x/y.gguf:calm")),
    ]
    app = make_app(engine=engine)
    async with app.run_test() as pilot:
        await pilot.press("ctrl+k")
        await until(pilot, lambda: "8 of 8" in shown(app))
        await pilot.press(*"poet")
        await until(pilot, lambda: "1 of 8" in shown(app))
        assert any("my-poet" in line and "alias" in line for line in shown(app).splitlines())
        await pilot.press("enter")
        await until(pilot, lambda: app.chat_model == "my-poet")


async def test_a_worker_that_dies_shows_why_and_the_app_lives(make_app: MakeApp) -> None:
    app = make_app()

    async def fail() -> None:
        raise RuntimeError("the [bold]unforeseen[/] \x1b[2J happened")

    async with app.run_test(size=(100, 30)) as pilot:
        app.run_worker(fail())
        await until(pilot, lambda: "unforeseen" in shown(app))
        assert "\x1b" not in shown(app)
        await pilot.press("escape", "alt+2")
        await until(pilot, lambda: app.current_mode == "logs")


async def test_an_engine_that_cannot_start_is_shown_and_the_app_lives(make_app: MakeApp) -> None:
    def broken() -> None:
        raise StorageFailed("The state folder is locked.", "Another Hearth runs.", "Leave that one first.")

    app = make_app(engine=broken)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "Leave that one first." in shown(app))
        await pilot.press("escape")
        await until(pilot, lambda: not app.screen.is_modal)
        await until(pilot, lambda: "✗ failed" in shown(app))
        await pilot.press("alt+2")
        await until(pilot, lambda: app.current_mode == "logs")


async def test_a_question_takes_the_careful_answer_by_default(make_app: MakeApp) -> None:
    app = make_app()
    answers: list[bool | None] = []
    async with app.run_test() as pilot:
        for key in ("enter", "y", "n", "escape"):
            app.push_screen(Confirm("Sure?", "It is [gone]."), answers.append)
            await until(pilot, lambda: "[gone]" in shown(app))
            await pilot.press(key)
            await until(pilot, lambda: not app.screen.is_modal)
    assert answers == [False, True, False, False]


async def test_an_answering_model_is_unloaded_only_after_a_question(make_app: MakeApp) -> None:
    engine = fake_engine()
    from msgspec.structs import replace

    engine.resident["ember"] = replace(engine.resident["ember"], state="busy")
    app = make_app(engine=engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await until(pilot, lambda: "◉ busy" in shown(app) and "◆" in shown(app))
        await pilot.press("u")
        await until(pilot, lambda: "Unload ember?" in shown(app))
        await pilot.press("n", "u", "y")
        await until(pilot, lambda: "ember" not in engine.resident)
