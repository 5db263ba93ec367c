"""Chooses adapters for a conversation or an alias: the model's own, none, or several of its with their scales."""

from __future__ import annotations

from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from engine.text_safety import plain
from engine.types import AdapterRef, ModelEntry
from tui.asking.adapters import BASE, OWN
from tui.dialogue import Dialogue

STEP = 0.1
LARGEST = 100.0
NAME_WIDTH = 28


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was decided; `adapters` None is the model's own."""

    adapters: tuple[AdapterRef, ...] | None


class AdapterPicker(Dialogue[Chosen | None]):
    """Closes with what was chosen, or None. Enter takes what is highlighted, or what was marked here."""

    HELP = """Enter takes what is highlighted. Space marks several, the arrow keys left and right change a scale.
    `default` is the model's own adapter, if it has one; `base` is the model without any. Switching loads nothing
    anew."""
    DEFAULT_CSS = """
    AdapterPicker .dialogue { width: 66; }
    AdapterPicker OptionList { height: auto; max-height: 14; }
    AdapterPicker #broken { height: auto; margin-top: 1; color: $muted; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "dismiss", "Close", id="adapters.close"),
        Binding("space", "mark", "Mark", priority=True, id="adapters.mark"),
        Binding("right,plus", f"scale({STEP})", "Stronger", priority=True, id="adapters.stronger"),
        Binding("left,minus", f"scale({-STEP})", "Weaker", priority=True, id="adapters.weaker"),
    ]

    def __init__(self, model: str, entry: ModelEntry | None, current: tuple[AdapterRef, ...] | None) -> None:
        super().__init__()
        self._model = model
        self._names = tuple(dict.fromkeys((*(entry.adapters if entry else ()), *_other(current, entry))))
        self._broken = dict(entry.broken_adapters) if entry else {}
        self._current = current
        self._scales = {each.name: each.scale for each in current or ()}
        """The marked ones."""
        self._marked = False
        """Whether marks or scales were changed here, so that enter takes them all."""

    def compose(self) -> ComposeResult:
        """Default, base, the adapters, those that cannot be used."""
        with Vertical(classes="dialogue") as box:
            box.border_title = f"Adapters of {plain(self._model, 40)}"
            box.border_subtitle = "enter use · space mark · ←→ scale · esc close"
            yield OptionList(markup=False)
            if self._broken:
                yield Static(Content("\n").join(self._reasons()), id="broken")
            elif not self._names:
                yield Static(
                    "This model has no adapters. A folder `adapters` beside its file is looked at.",
                    id="broken",
                    markup=False,
                )

    def _reasons(self) -> list[Content]:
        return [
            Content.assemble((f"✗ {plain(name, NAME_WIDTH)}  ", "$text-error"), (plain(why), "$muted"))
            for name, why in self._broken.items()
        ]

    def on_mount(self) -> None:
        """Begin at what holds now."""
        self._draw()
        place = 0 if self._current is None else 1
        if self._scales:
            place = 2 + next((at for at, name in enumerate(self._names) if name in self._scales), 0)
        self.query_one(OptionList).highlighted = place

    def _draw(self) -> None:
        options = self.query_one(OptionList)
        place = options.highlighted
        options.clear_options()
        nothing = not self._scales
        options.add_options(
            [
                Option(_line(OWN, "the model's own", self._current is None and nothing)),
                Option(_line(BASE, "no adapter", self._current == () and nothing)),
                *(Option(self._option(name)) for name in self._names),
            ]
        )
        options.highlighted = place

    def _option(self, name: str) -> Content:
        scale = self._scales.get(name)
        shown = plain(name, NAME_WIDTH)
        pad = " " * max(1, NAME_WIDTH + 1 - Content(shown).cell_length)
        return Content.assemble(
            ("■ " if scale is not None else "□ ", "$primary"),
            (shown, "bold" if scale is not None else ""),
            pad,
            (f"× {scale:g}" if scale is not None else "", "$accent"),
        )

    @property
    def _highlighted(self) -> str | None:
        """The adapter under the cursor, if it is one."""
        place = self.query_one(OptionList).highlighted
        return self._names[place - 2] if place is not None and place >= 2 else None

    def action_mark(self) -> None:
        """Mark an adapter, or take the mark off."""
        name = self._highlighted
        if name is not None:
            if self._scales.pop(name, None) is None:
                self._scales[name] = 1.0
            self._marked = True
            self._draw()

    def action_scale(self, by: float) -> None:
        """Change the scale of the highlighted adapter; that marks it."""
        name = self._highlighted
        if name is not None:
            scale = round(self._scales.get(name, 1.0) + by, 2)
            self._scales[name] = min(LARGEST, max(-LARGEST, scale))
            self._marked = True
            self._draw()

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        if event.option_index < 2:
            self.dismiss(Chosen(None if event.option_index == 0 else ()))
            return
        name = self._names[event.option_index - 2]
        if not (self._marked and self._scales):
            self._scales = {name: self._scales.get(name, 1.0)}
        chosen = tuple(AdapterRef(name, self._scales[name]) for name in self._names if name in self._scales)
        self.dismiss(Chosen(chosen))


def _other(current: tuple[AdapterRef, ...] | None, entry: ModelEntry | None) -> list[str]:
    """What is in use and not among the model's: an adapter named by its path."""
    known = entry.adapters if entry else ()
    return [each.name for each in current or () if each.name not in known]


def _line(name: str, note: str, here: bool) -> Content:
    return Content.assemble(
        ("● " if here else "○ ", "$primary"),
        (f"{name:<{NAME_WIDTH}} ", "bold" if here else ""),
        (note, "$muted"),
    )
