"""The look that all dialogues share; its style sheet is read when the first of them opens."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from textual.screen import ModalScreen

if TYPE_CHECKING:
    from tui.app import HearthApp

Result = TypeVar("Result")


class Dialogue(ModalScreen[Result]):
    """A modal screen whose box has the class `dialogue`."""

    DEFAULT_CSS = """
    Dialogue {
        background: $background 60%;
        align: center middle;
        &:ansi { background: transparent; }
    }
    Dialogue .dialogue {
        width: 72; max-width: 94%; height: auto; max-height: 88%;
        padding: 1 2;
        background: $surface;
        border: round $border;
        border-title-color: $primary; border-title-style: bold;
        border-subtitle-color: $muted;
    }
    Dialogue Input { border: none; height: 1; padding: 0 1; background: $panel; &:focus { border: none; } }
    Dialogue OptionList {
        border: none; padding: 0; background: transparent; background-tint: transparent 0%;
        text-wrap: nowrap; text-overflow: ellipsis;
        &:focus { border: none; background-tint: transparent 0%; }
        & > .option-list--option-highlighted {
            background: $block-cursor-blurred-background; color: $foreground; text-style: bold;
        }
        &:focus > .option-list--option-highlighted {
            background: $block-cursor-blurred-background; color: $foreground; text-style: bold;
        }
        &:nocolor > .option-list--option-highlighted { text-style: bold reverse; }
    }
    """

    keeps_text = False
    """Whether what is written in it is kept only when it is closed, so that nobody leaves from here."""

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)
