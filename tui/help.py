"""Help made from what is there: the focused pane's own text, and the keys that really work right now."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.dom import DOMNode
from textual.keys import key_to_character
from textual.screen import Screen
from textual.widgets import Input, Static, TextArea

from engine.text_safety import clean
from tui.dialogue import Dialogue

if TYPE_CHECKING:
    from tui.app import HearthApp


@dataclass(slots=True)
class Section:
    """A group of keys: `rows` are (keys, what they do)."""

    title: str
    rows: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Help:
    """What to show: `text` of the focused pane or its nearest ancestor that has some."""

    title: str
    text: str
    sections: tuple[Section, ...]


def gather(app: HearthApp) -> Help:
    """The help for what has the focus on `app`'s screen."""
    screen = app.screen
    node: DOMNode = screen.focused or screen
    speaker = next((found for found in node.ancestors_with_self if found.HELP), None)
    text = " ".join((speaker.HELP or "").split()) if speaker is not None else app.workspace.purpose
    sections: dict[DOMNode, Section] = {}
    hearths: set[DOMNode] = set()
    places: dict[tuple[DOMNode, str], int] = {}
    bindings = sorted(
        screen.active_bindings.values(), key=lambda active: active.binding.id not in app.actions
    )
    for active in bindings:  # Hearth's own first, then what Textual's widgets bring
        own = active.binding.id in app.actions
        if not _told(active) or (isinstance(active.node, TextArea | Input) and not own):
            continue  # how text is edited is known
        if _is_written(screen, active):
            continue
        section = sections.setdefault(active.node, Section(_title(app, screen, active.node)))
        key = app.get_key_display(active.binding)
        place = places.get((active.node, active.binding.action))
        if place is None:
            places[active.node, active.binding.action] = len(section.rows)
            section.rows.append((key, active.binding.tooltip or active.binding.description))
        else:
            keys, told = section.rows[place]
            section.rows[place] = (f"{keys}  {key}", told)
        if own:
            hearths.add(active.node)
    order = sorted(
        sections.items(), key=lambda item: (item[0] is app, item[0] not in hearths, item[0] is screen)
    )
    return Help(f"Help · {app.workspace.title}", text, tuple(section for _, section in order))


def _told(active: ActiveBinding) -> bool:
    binding: Binding = active.binding
    return active.enabled and bool(binding.description) and not binding.system


def _is_written(screen: Screen[object], active: ActiveBinding) -> bool:
    """Whether the key is text where the focus is, so that the binding never gets it."""
    focused, binding = screen.focused, active.binding
    if focused is None or focused is active.node or binding.priority:
        return False
    return focused.check_consume_key(binding.key, key_to_character(binding.key))


def _title(app: HearthApp, screen: Screen[object], node: DOMNode) -> str:
    if node is app:
        return "Everywhere"
    if node is screen:
        return app.workspace.title
    return (
        node.BINDING_GROUP_TITLE or node.border_title or type(node).__name__
        if hasattr(node, "border_title")
        else type(node).__name__
    )


class HelpScreen(Dialogue[None]):
    """Shows a `Help`."""

    DEFAULT_CSS = """
    HelpScreen .dialogue { width: 78; }
    HelpScreen Static { height: auto; }
    HelpScreen .text { margin-bottom: 1; }
    HelpScreen .section { margin-bottom: 1; }
    """
    BINDINGS = [  # noqa: RUF012
        Binding("escape,q,f1,question_mark", "dismiss", "Close", id="help.close"),
    ]

    def __init__(self, content: Help) -> None:
        super().__init__()
        self.content = content

    def compose(self) -> ComposeResult:
        """The text, then a table a section."""
        with VerticalScroll(classes="dialogue") as box:
            box.border_title = self.content.title
            box.border_subtitle = "esc close · ↑↓ scroll"
            yield Static(Content(clean(self.content.text)), classes="text")
            for section in self.content.sections:
                yield Static(_table(section), classes="section")


def _table(section: Section) -> Content:
    width = min(24, max(len(keys) for keys, _ in section.rows))
    lines = [Content.styled(section.title, "bold $primary")]
    for keys, told in section.rows:
        lines.append(Content.assemble((f"  {keys:<{width}}  ", "$accent"), clean(told)))
    return Content("\n").join(lines)
