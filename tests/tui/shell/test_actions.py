"""The registry of actions: complete, without conflicts, and the only source of keys."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from rich.cells import cell_len

from tests.tui.shell.screen_text import shown, until
from tui import app_actions
from tui.actions import APP_ACTIONS, Action, ActionRegistry
from tui.app import HearthApp
from tui.workspaces import WORKSPACES, registry

MakeApp = Callable[..., HearthApp]


def test_no_two_actions_answer_to_one_key() -> None:
    priority = {key: action.name for action in APP_ACTIONS if action.priority for key in action.keys}
    held: dict[tuple[str, str], str] = {}
    for action in registry(WORKSPACES):
        for key in action.keys:
            if action.scope in ("app", "models", "logs"):  # the chat shares escape, by what is going on
                assert held.setdefault((action.scope, key), action.name) == action.name
            assert priority.get(key, action.name) == action.name


def test_every_glyph_of_a_workspace_is_one_cell_wide_and_its_own() -> None:
    icons = [workspace.icon for workspace in WORKSPACES]
    assert len(set(icons)) == len(icons)
    for icon in icons:
        # The layout goes by the first, terminals by the second.
        assert cell_len(icon) == 1, icon
        assert unicodedata.east_asian_width(icon) not in ("W", "F"), icon


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"app\.help is listed twice"):
        ActionRegistry([Action("app.help", "help", "Help"), Action("app.help", "other", "Other")])


def test_every_action_has_a_method(make_app: MakeApp) -> None:
    app = make_app(workspaces=WORKSPACES)
    for action in app.actions:
        if action.scope == "app":
            assert hasattr(app, f"action_{action.method.partition('(')[0]}"), action.name


async def test_the_first_workspace_opens_and_keys_go_to_the_others(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        assert app.current_mode == "models"
        for keys, mode in (
            (["alt+2"], "logs"),
            (["f2"], "models"),
            (["ctrl+g", "2"], "logs"),
            (["ctrl+g", "1"], "models"),
            (["ctrl+l"], "logs"),
            (["ctrl+l"], "models"),
        ):
            await pilot.press(*keys)
            await pilot.pause()
            assert app.current_mode == mode, keys


async def test_a_digit_without_a_workspace_goes_nowhere(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+g", "9")
        await pilot.press("alt+0")
        await pilot.pause()
        assert app.current_mode == "models"
        assert not app.screen.is_modal


async def test_ctrl_c_leaves_only_when_pressed_twice(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_actions, "QUIT_AGAIN_S", 600.0)
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "again to quit" in shown(app))
        assert app._exit is False
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app._exit)


async def test_the_question_about_leaving_goes_with_the_next_key(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app_actions, "QUIT_AGAIN_S", 600.0)
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("slash", "ctrl+c")  # in a field, which has a ctrl+c of its own
        await until(pilot, lambda: "Press ctrl+c again to quit" in shown(app))
        await pilot.press("x")
        await until(pilot, lambda: "again to quit" not in shown(app))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "again to quit" in shown(app))
        assert app._exit is False


async def test_ctrl_b_hides_the_rail_and_ctrl_e_the_card(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        rail, card = app.screen.query_one("Rail"), app.screen.query_one("#detail")
        assert rail.display and card.display
        await pilot.press("ctrl+b", "ctrl+e")
        await pilot.pause()
        assert not rail.display and not card.display


async def test_a_dialogue_keeps_the_keys_of_the_app_out(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+k")
        await pilot.press("ctrl+t", "alt+2")
        await pilot.pause()
        assert type(app.screen).__name__ == "ModelPicker"
        assert app.current_mode == "models"


async def test_a_click_on_the_rail_goes_to_the_workspace(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.click("Rail", offset=(2, 3))
        await until(pilot, lambda: app.current_mode == "logs")


async def test_the_footer_shows_keys_that_work_here_and_can_be_hidden(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: "u Unload" in shown(app))
        await app.run_action("footer")
        await pilot.press("alt+2")
        await pilot.pause()
        assert "v Level" not in shown(app)
