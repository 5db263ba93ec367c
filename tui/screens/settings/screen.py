"""The Settings workspace: every setting with what holds and who says so, searched and changed in place."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.content import Content
from textual.widgets import OptionList, Static

from engine import settings
from engine.errors import HearthError, InvalidSettings
from engine.settings import Loaded, literal
from engine.text_safety import clean, plain
from tui.actions import bindings
from tui.filtered import FilteredScreen
from tui.screens.settings import presenter
from tui.screens.settings.actions import ACTIONS
from tui.screens.settings.editing import UNSET, ChooseValue, dialogue_for
from tui.screens.settings.presenter import HOLDS, Row
from tui.screens.settings.view import SettingList


class SettingCard(VerticalScroll):
    """The card beside the list."""

    HELP = "What is known of the highlighted setting."
    BINDING_GROUP_TITLE = "Card"


class SettingsScreen(FilteredScreen):
    """Everything that can be set."""

    CSS_PATH = "settings.tcss"
    BINDINGS = bindings(ACTIONS, "settings")
    INSPECTOR = "#detail"
    AUTO_FOCUS = "#settings"
    LIST = "#settings"
    FILTERS_BY = "Search names, descriptions and values"

    def __init__(self) -> None:
        super().__init__()
        self._loaded: Loaded | None = None
        self._problems: list[InvalidSettings] = []
        self._rows: list[Row] = []
        self._only_changed = False

    def compose_workspace(self) -> ComposeResult:
        """Search, what is wrong, list and card, a line of figures."""
        yield self.filter_bar()
        yield Static("", id="problems", markup=False)
        with Container(id="panes"):
            yield SettingList(id="settings")
            yield Static("Reading the settings …", id="empty", markup=False)
            with SettingCard(id="detail"):
                for part in ("name", "purpose", "locked", "facts"):
                    yield Static("", id=part, markup=False)
        yield Static("", id="summary", markup=False)

    def on_mount(self) -> None:
        """Follow the settings in force."""
        self.set_class(True, "-empty")
        self.query_one("#problems").display = False
        self.hearth.settings_changed.subscribe(self, lambda _: self._take_rows())

    def on_screen_resume(self) -> None:
        """Read the files again: they may have been changed elsewhere."""
        self.run_worker(self._read, group="read", exclusive=True)

    def on_resize(self) -> None:
        """The card stands below the list where there is little width."""
        narrow = self.size.width < 100
        self.query_one("#panes").styles.layout = "vertical" if narrow else "horizontal"

    # --- data -------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Read the files, and go by what they say now."""
        app = self.hearth
        look = partial(settings.check, app.config_path, cli=app.flags, own=app.paths.config_file)
        self._loaded, self._problems = await asyncio.to_thread(look)
        self._tell_problems()
        if not self._problems:
            app.take_settings(self._loaded.settings)
        self._take_rows()

    def _take_rows(self) -> None:
        if self._loaded is not None:
            self._rows = presenter.rows(self._loaded, self.hearth.settings)
            self.redraw()

    def _tell_problems(self) -> None:
        line = self.query_one("#problems", Static)
        line.display = bool(self._problems)
        if self._problems:
            more = len(self._problems) - 1
            rest = f" … and {more} more: `hearth config check` lists them all." if more else ""
            line.update(Content(clean(f"✗ {self._problems[0].info.sentence()}{rest}")))

    # --- drawing ----------------------------------------------------------------------------------------------

    def redraw(self) -> None:
        """Show the settings that search and switch leave."""
        if self._loaded is None:
            return
        chosen = presenter.found(self._rows, self.words, only_changed=self._only_changed)
        self.set_class(not chosen, "-empty")
        if not chosen:
            nothing = (
                f"No setting fits “{plain(self.words, 40)}”."
                if self.words
                else "Everything is at its default."
            )
            self.query_one("#empty", Static).update(nothing)
        self.query_one(SettingList).show(list(presenter.lines(chosen)))
        self._draw_card()
        self._draw_summary(len(chosen))

    def _draw_card(self) -> None:
        row, loaded = self.query_one(SettingList).row, self._loaded
        if row is None or loaded is None:
            return
        self.query_one("#name", Static).update(Content(row.key))
        self.query_one("#purpose", Static).update(Content(clean(row.setting.description)))
        locked = self.query_one("#locked", Static)
        note = presenter.overruled(row, self.hearth.preferences.theme, self.hearth.chat_model)
        if row.is_locked:
            note = presenter.why_locked(row, loaded.own)
        locked.display = bool(note)
        locked.update(Content(clean(f"! {note}")))
        facts = [
            Content.assemble((f"{label:<9}", "$muted"), clean(text)) for label, text in presenter.card(row)
        ]
        self.query_one("#facts", Static).update(Content("\n").join(facts))

    def _draw_summary(self, count: int) -> None:
        assert self._loaded is not None
        own = str(self._loaded.own)
        if own.startswith(home := str(Path.home())):
            own = "~" + own.removeprefix(home)
        waiting = sum(row.is_waiting for row in self._rows)
        parts = [f"{count} of {len(self._rows)} settings"]
        parts += ["only what is set"] if self._only_changed else []
        if waiting:
            parts.append(f"↻ {waiting} wait{'s' if waiting == 1 else ''} for the next start")
        parts.append(plain(own, 80))
        self.query_one("#summary", Static).update(" · ".join(parts))

    # --- what happens -----------------------------------------------------------------------------------------

    @on(SettingList.Resized)
    def _resized(self) -> None:
        self.redraw()

    @on(OptionList.OptionHighlighted, "#settings")
    def _highlighted(self) -> None:
        self._draw_card()

    @on(OptionList.OptionSelected, "#settings")
    def _selected(self) -> None:
        self.action_edit()

    def action_move(self, step: int) -> None:
        """Move the highlight."""
        shown = self.query_one(SettingList)
        if step > 0:
            shown.action_cursor_down()
        else:
            shown.action_cursor_up()

    def action_section(self, step: int) -> None:
        """Go to the next section, or to the one before."""
        self.query_one(SettingList).go_to_section(step)

    def action_only_changed(self) -> None:
        """Show only what is set somewhere, or everything again."""
        self._only_changed = not self._only_changed
        self.redraw()

    def action_copy_line(self) -> None:
        """Copy the setting as it would stand in a file."""
        row = self.query_one(SettingList).row
        if row is not None and row.value is not None:
            self.hearth.copy(f"{row.key} = {literal(settings.without_secrets(row.setting, row.value))}")

    def action_copy_path(self) -> None:
        """Copy where the settings file is."""
        if self._loaded is not None:
            self.hearth.copy(clean(str(self._loaded.own)))

    def _changeable(self) -> Row | None:
        """The highlighted setting, unless it is set where it cannot be changed from here; that is said."""
        row, loaded = self.query_one(SettingList).row, self._loaded
        if row is not None and loaded is not None and row.is_locked:
            self.hearth.flash(presenter.why_locked(row, loaded.own), "warning")
            return None
        return row

    def action_edit(self) -> None:
        """Ask for another value."""
        row = self._changeable()
        if row is None:
            return
        if row.key == "ui.theme":
            from tui.theme_picker import ThemePicker

            self.app.push_screen(ThemePicker(self.hearth.theme), partial(self._take, row))
        elif row.setting.others:
            self._add_name(row)
        elif row.key == "models.default":
            self.run_worker(self._choose_model(row), group="change")
        else:
            self.app.push_screen(dialogue_for(row), partial(self._take, row))

    def _add_name(self, row: Row) -> None:
        """Ask for a name, then for what it stands for."""
        from tui.line_dialogue import LineDialogue

        def take(name: str | None) -> None:
            if name:
                new = presenter.new_name(row.setting, name)
                self.app.push_screen(dialogue_for(new), partial(self._take, new))

        check = partial(presenter.why_no_name, row.setting)
        note = "A name of your own, as in: mistral"
        self.app.push_screen(LineDialogue("Name for a model", note=note, check=check), take)

    async def _choose_model(self, row: Row) -> None:
        """The models that are here as a list; a line to type where that cannot be told."""
        try:
            engine = await asyncio.to_thread(lambda: self.hearth.engine)
            names = tuple(entry.id for entry in await engine.models() if not entry.broken)
        except HearthError:
            names = ()
        dialogue = ChooseValue(row, names) if names else dialogue_for(row)
        self.app.push_screen(dialogue, partial(self._take, row))

    def action_switch(self) -> None:
        """Turn a switch the other way; anything else is asked for."""
        row = self._changeable()
        if row is not None and row.setting.is_switch and row.value is not None:
            self._take(row, "false" if row.value else "true")
        elif row is not None:
            self.action_edit()

    def action_reset(self) -> None:
        """Go back to the default."""
        row = self._changeable()
        if row is not None and row.setting.others:
            self.hearth.flash("Each name is taken out on its own line below.")
        elif row is not None and row.layer == "default":
            self.hearth.flash(f"{row.key} is at its default already.")
        elif row is not None:
            self._take(row, UNSET)

    def _take(self, row: Row, text: str | None) -> None:
        if text is not None:
            self.run_worker(self._write(row, text), group="change")

    async def _write(self, row: Row, text: str) -> None:
        """Write the file, read everything again, and go by it."""
        assert self._loaded is not None
        own = self._loaded.own
        try:
            if text == UNSET:
                await asyncio.to_thread(settings.unset, own, row.key)
            else:
                await asyncio.to_thread(settings.set_value, own, row.key, text)
        except HearthError as error:
            self.hearth.show_error(error)
            return
        await self._read()
        if row.key == "ui.theme":
            self.hearth.preferences.forget_theme()
        now = next((each for each in self._rows if each.key == row.key), None)
        said = f"{row.key} is {presenter.value(now) if now is not None else 'taken out'}"
        self.hearth.flash(f"{said} {HOLDS[row.setting.applies]}.", "success")
