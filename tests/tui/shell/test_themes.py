"""Theme files: ours are readable, the user's are taken or named, the picker previews and restores."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import Theme

from engine import paths
from engine.settings import Settings, Ui
from tests.tui.shell.screen_text import told, until
from tui import themes
from tui.app import HearthApp

MakeApp = Callable[..., HearthApp]
OURS = themes.ThemeLibrary().load_all()


def luminance(colour: Color) -> float:
    """Relative luminance as WCAG 2.2 defines it."""

    def linear(value: int) -> float:
        share = value / 255
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    return 0.2126 * linear(colour.r) + 0.7152 * linear(colour.g) + 0.0722 * linear(colour.b)


def contrast(one: str, other: str) -> float:
    """Contrast ratio as WCAG 2.2 defines it."""
    light, dark = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_there_are_two_dark_two_light_one_of_high_contrast_and_one_ansi() -> None:
    kinds = [("ansi" if theme.ansi else "dark" if theme.dark else "light") for theme in OURS.values()]
    assert kinds.count("dark") >= 3 and kinds.count("light") >= 2 and kinds.count("ansi") >= 1
    assert "beacon" in OURS and themes.DEFAULT in OURS


@pytest.mark.parametrize(
    "theme", [theme for theme in OURS.values() if not theme.ansi], ids=lambda theme: theme.name
)
def test_text_can_be_read(theme: Theme) -> None:
    least = 7.0 if theme.name == "beacon" else 4.5
    grounds = [theme.background, theme.surface, theme.panel]
    texts = [
        theme.foreground,
        theme.primary,
        theme.secondary,
        theme.accent,
        theme.success,
        theme.warning,
        theme.error,
    ]
    texts += [
        value
        for name, value in theme.variables.items()
        if name == "muted" or name.startswith(("role-", "ctx-", "state-")) or name == "footer-key-foreground"
    ]
    for ground in grounds[:2]:
        for text in texts:
            assert contrast(str(text), str(ground)) >= least, (text, ground)
    assert contrast(str(theme.foreground), str(theme.panel)) >= least
    cursor = theme.variables
    for kind in ("block-cursor", "block-cursor-blurred"):
        assert contrast(cursor[f"{kind}-foreground"], cursor[f"{kind}-background"]) >= 4.5


def test_every_own_variable_is_set_by_every_theme() -> None:
    for theme in OURS.values():
        assert set(themes.OWN_VARIABLES) <= set(theme.variables)
    assert set(themes.OWN_VARIABLES) == set(themes.fallback_variables())


def test_the_ansi_theme_uses_nothing_but_the_terminals_colours() -> None:
    theme = OURS["terminal"]
    values = [
        *theme.variables.items(),
        *((name, getattr(theme, name)) for name in themes.Colors.__struct_fields__),
    ]
    for name, value in values:
        assert name.endswith("-style") or str(value).startswith("ansi_"), name


@pytest.mark.parametrize(
    "text",
    ["", "not toml [", 'title = "x"', 'title = "x"\n[colors]\nbackground = "\x1b[2J"', "title = 3\n[colors]"],
)
def test_a_broken_file_is_left_out_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    library = themes.ThemeLibrary((themes.BUILTIN, tmp_path))
    assert set(library.load_all()) == set(OURS)
    (problem,) = library.problems.values()
    assert problem and "\x1b" not in problem


def user_theme(folder: Path, name: str = "mine", background: str = "#101418") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ours = (themes.BUILTIN / "banked.toml").read_text()
    path = folder / f"{name}.toml"
    path.write_text(ours.replace("#11151b", background).replace('title = "Banked"', 'title = "Mine"'))
    return path


async def test_a_users_theme_is_used_and_a_broken_one_is_told_once(
    make_app: MakeApp, home: paths.Paths
) -> None:
    user_theme(home.themes)
    (home.themes / "bad.toml").write_text("title = 1")
    (home.themes / "worse.toml").write_text("[")
    app = make_app(settings=Settings(ui=Ui(theme="mine")))
    async with app.run_test(size=(120, 40)) as pilot:
        assert app.theme == "mine"
        await until(pilot, lambda: "bad.toml" in told(app))
        assert "worse.toml" in told(app)
        assert len(app._notifications) == 1


async def test_an_unknown_theme_gives_the_default_and_a_notice(make_app: MakeApp) -> None:
    app = make_app(settings=Settings(ui=Ui(theme="../../etc/passwd")))
    async with app.run_test(size=(120, 40)) as pilot:
        assert app.theme == themes.DEFAULT
        await until(pilot, lambda: "no usable theme" in told(app))


async def test_the_picker_previews_and_escape_restores(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("ctrl+t")
        await pilot.press("down")
        await until(pilot, lambda: app.theme == "ash")
        assert app.current_theme.dark is False
        await pilot.press("escape")
        await until(pilot, lambda: app.theme == themes.DEFAULT and not app.screen.is_modal)


async def test_the_theme_that_is_kept_holds_in_the_next_run(make_app: MakeApp, home: paths.Paths) -> None:
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+t", "down", "enter")
        await until(pilot, lambda: not app.screen.is_modal)
        assert app.theme == "ash"
    assert make_app().theme == "ash"
    assert not (home.config / "config.toml").exists()


async def test_a_changed_file_is_read_again(make_app: MakeApp, home: paths.Paths) -> None:
    path = user_theme(home.themes)
    app = make_app(settings=Settings(ui=Ui(theme="mine")))
    async with app.run_test() as pilot:
        await until(pilot, lambda: bool(app.preferences.library._stamps))
        user_theme(home.themes, background="#000001")
        later = path.stat().st_mtime_ns + 10**9
        os.utime(path, ns=(later, later))
        app.preferences.reload_changed_themes()
        await until(pilot, lambda: app.current_theme.background == "#000001")


async def test_without_colour_nothing_is_coloured(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = make_app()
    async with app.run_test() as pilot:
        await pilot.pause()
        svg = app.export_screenshot()
        assert app.no_color
        picture = re.sub(r"<circle[^>]*>", "", svg).replace("#c5c8c6", "")  # the window's buttons and title
        painted = {Color.parse(colour) for colour in re.findall(r"#[0-9a-f]{6}", picture)}
        assert painted and all(colour.r == colour.g == colour.b for colour in painted)
