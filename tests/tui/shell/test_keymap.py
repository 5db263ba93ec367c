"""The keymap file: what it changes, and what it says about lines it cannot use."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.settings import Settings, Ui
from tests.tui.shell.screen_text import told, until
from tui import keymap
from tui.actions import Action, ActionRegistry
from tui.app import HearthApp
from tui.workspaces import WORKSPACES, registry

ACTIONS = registry(WORKSPACES)
MakeApp = Callable[..., HearthApp]


def parse(text: str) -> keymap.Keymap:
    return keymap.parse(tomllib.loads(text), ACTIONS)


def test_keys_are_taken_in_textuals_spelling() -> None:
    found = parse('[app]\npalette = ["f12", "?"]\nhelp_typed = "ctrl+h"\n[models]\nload = "L"')
    assert (
        found.keys
        == {"app.palette": "f12,question_mark", "app.help_typed": "ctrl+h", "models.load": "upper_l"}
        or found.keys["models.load"] == "L"
    )
    assert found.problems == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[app]\npalete = "f12"', "No action is called `app.palete`. Did you mean `app.palette`?"),
        ('[app]\npalette = "ctrl+nonsense"', "`ctrl+nonsense` is no key"),
        ('[app]\npalette = "hyperspace+k"', "is no key"),
        ("[app]\npalette = 7", "needs a key or a list of keys"),
        ("[app]\npalette = []", "needs a key or a list of keys"),
        ('[models]\nload = "u"', "`models.unload` has it"),
        ('[models]\nload = "ctrl+k"', "`app.model` has it"),
        ('[models]\nload = "x"\nunload = "x"', "cannot have x"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(text: str, says: str) -> None:
    found = parse(text)
    assert len(found.problems) == 1
    assert says in found.problems[0]


def test_two_actions_may_swap_their_keys() -> None:
    found = parse('[models]\nload = "u"\nunload = "l"')
    assert found == keymap.Keymap({"models.load": "u", "models.unload": "l"})


def test_an_action_that_shares_its_key_keeps_it_when_the_other_moves() -> None:
    actions = ActionRegistry(
        [Action("x.stop", "stop", "Stop", ("escape",)), Action("x.leave", "leave", "Leave", ("escape",))]
    )
    assert keymap.parse({"x": {"stop": "f12"}}, actions).keys == {"x.stop": "f12", "x.leave": "escape"}


def test_one_bad_line_leaves_the_others(tmp_path: Path) -> None:
    path = tmp_path / "keymap.toml"
    path.write_text('[app]\nnothing = "f12"\nquit = "f10"\n')
    assert keymap.load(path, ACTIONS).keys == {"app.quit": "f10"}


def test_a_file_that_is_no_toml_is_a_problem_and_a_missing_one_is_none(tmp_path: Path) -> None:
    path = tmp_path / "keymap.toml"
    assert keymap.load(path, ACTIONS) == keymap.Keymap()
    path.write_text("[app\n")
    assert "is not TOML" in keymap.load(path, ACTIONS).problems[0]


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["ctrl+k", "l", "f5"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["app", "models", "x"]), json, max_size=3))
def test_any_table_gives_a_keymap_without_conflicts(tables: dict[str, Any]) -> None:
    found = keymap.parse(tables, ACTIONS)
    assert all(name in ACTIONS for name in found.keys)
    assert all("\x1b" not in problem for problem in found.problems)


async def test_the_app_uses_the_file(make_app: MakeApp, tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text('[app]\nmodel = "f12"\n[models]\nfilter = "x"\nfoo = "y"\n')
    app = make_app(settings=Settings(ui=Ui(keymap=str(path))))
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "No action is called `models.foo`" in told(app))
        await pilot.press("slash")
        assert not app.screen.query_one("#filter").has_class("-open")
        await pilot.press("x")
        assert app.screen.query_one("#filter").has_class("-open")
        await pilot.press("escape", "f12")
        await pilot.pause()
        assert type(app.screen).__name__ == "ModelPicker"
