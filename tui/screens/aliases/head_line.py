"""The line above the form: which alias, whether it is saved, and what can be done with it by a click."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from engine.text_safety import plain
from tui.chrome import Line, Part, fitted
from tui.screens.aliases.keeping import Keeping


class HeadLine(Line):
    """`bard  ✱ not saved` … `✓ save  ↶ undo  ▷ try`."""

    DEFAULT_CSS = """
    HeadLine { height: 1; padding: 0 1; }
    """

    def parts(self) -> Sequence[Part]:
        """The name at the left, what a click does at the right."""
        screen = self.screen
        assert isinstance(screen, Keeping)
        draft = screen.draft if screen.is_mounted else None
        width = self.content_region.width
        buttons: list[Part] = []
        if draft is not None:
            changed = draft.changed
            buttons = [
                Part(Content.styled("✓ save", "bold $success" if changed else "$muted"), "screen.save"),
                Part(Content("   ")),
                Part(Content.styled("↶ undo", "$accent" if draft.steps else "$muted"), "screen.undo"),
                Part(Content("   ")),
                Part(Content.styled("▷ try", "$primary"), "screen.try_it"),
            ]
        taken = sum(part.content.cell_length for part in buttons)
        room = max(0, width - taken - 2)
        name = Content.styled(plain(screen.current, 120), "bold")
        if draft is None:
            state = Content("")
        elif draft.kept is None:
            state = Content.styled("  ✱ new, not saved", "$warning")
        elif draft.conflicts:
            state = Content.styled("  ! changed elsewhere too", "$warning")
        elif draft.changed:
            state = Content.styled("  ✱ not saved", "$warning")
        else:
            state = Content.styled("  saved", "$muted")
        short = name.truncate(max(6, room - state.cell_length), ellipsis=True)
        left = Part(fitted(Content.assemble(short, state), room))
        return [left, Part(Content("  ")), *buttons]
