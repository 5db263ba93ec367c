"""The frame around every workspace: header, rail, status bar, keys line. Each is one widget that draws itself.

One widget a line keeps the first frame cheap and a change from touching any layout. Parts that can be clicked carry
the action to run; the widget finds the part under the pointer by its cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, cast

from msgspec import Struct
from textual import events
from textual.content import Content
from textual.dom import DOMNode
from textual.widget import Widget

from engine.text_safety import plain
from tui import status

if TYPE_CHECKING:
    from tui.app import HearthApp


class Part(Struct, frozen=True):
    """A stretch of a line: its content, and the action that a click on it runs (empty: none)."""

    content: Content
    action: str = ""


class Line(Widget):
    """A line of parts, or a column of them; subclasses give the parts."""

    ALLOW_SELECT = False
    vertical = False

    @property
    def hearth(self) -> HearthApp:
        """The app, by its own type."""
        return cast("HearthApp", self.app)

    @property
    def acts_on(self) -> DOMNode:
        """The node whose actions a click runs."""
        return self.screen

    if TYPE_CHECKING:

        def parts(self) -> Sequence[Part]:
            """What to draw now."""
            ...

    def render(self) -> Content:
        """The parts joined."""
        joiner = Content("\n" if self.vertical else "")
        return joiner.join(part.content for part in self.parts())

    async def on_click(self, event: events.Click) -> None:
        """Run the action of the part under the pointer."""
        at = event.get_content_offset(self)
        if at is None:
            return
        place = at.y if self.vertical else at.x
        start = 0
        for part in self.parts():
            start += 1 if self.vertical else part.content.cell_length
            if place < start:
                if part.action:
                    await self.app.run_action(part.action, self.acts_on)
                return


def fitted(content: Content, width: int) -> Content:
    """`content` cut or filled to exactly `width` cells."""
    return content.truncate(width, ellipsis=True).pad_right(max(0, width - min(width, content.cell_length)))


WATCH_S = 0.5


class Header(Line):
    """Where we are, on the left; with which model, on the right."""

    DEFAULT_CSS = """
    Header { height: 1; padding: 0 1; background: $chrome; color: $foreground; }
    """

    _drawn: object = None

    def on_mount(self) -> None:
        """Look now and again: where the engine is turns out after the first frame, and the server comes and goes."""
        self.set_interval(WATCH_S, self._follow)

    def _follow(self) -> None:
        now = (self.hearth.connection.attached, self.hearth.sample.lost, self.hearth.serving.state)
        if now != self._drawn:
            self._drawn = now
            self.refresh()

    def parts(self) -> Sequence[Part]:
        """`Hearth ▸ Chat ▸ title (2/3)` … `⇄ host:port  ◆ model`."""
        app = self.hearth
        workspace = app.workspace
        chat = app.chat_status
        width = self.content_region.width
        model = status.named(app.chat_model, chat.adapters if chat.model == app.chat_model else "")
        right = Content.assemble(("◆ ", "$role-assistant"), plain(model, 40) or "no model")
        where = self._where(width - right.cell_length)
        left = [
            Content.styled("Hearth", "bold $primary"),
            Content.styled(" ▸ ", "$muted"),
            Content.styled(workspace.title, "bold"),
        ]
        if workspace.name == "chat" and chat.title:
            left += [Content.styled(" ▸ ", "$muted"), Content(plain(chat.title, 60))]
            if chat.branch:
                left.append(Content.styled(f" ({chat.branch[0]}/{chat.branch[1]})", "$muted"))
        room = max(0, width - right.cell_length - where.cell_length - 2)
        return [
            Part(fitted(Content("").join(left), room)),
            Part(Content("  ")),
            Part(where, "app.show_server"),
            Part(right, "app.pick_model"),
        ]

    def _where(self, room: int) -> Content:
        """Where the engine is, if it is not here (half of the line at most), or the port on which it is lent out."""
        attached, serving = self.hearth.connection.attached, self.hearth.serving
        if not attached and serving.state == "on":
            return Content.assemble(("● ", "$state-ready"), f":{serving.port}", "   ")
        if not attached or room < 40:
            return Content("")
        lost = self.hearth.sample.lost
        name = plain(attached, room // 2 - 4)
        return Content.assemble(("✗ " if lost else "⇄ ", "$ctx-error" if lost else "$accent"), name, "   ")


class Rail(Line):
    """The workspaces: icon and digit, top to bottom. Hidden when the terminal is narrow."""

    vertical = True
    DEFAULT_CSS = """
    Rail { width: 5; height: 1fr; padding: 1 0; background: $chrome; color: $muted; }
    Rail.-off { display: none; }
    """

    def parts(self) -> Sequence[Part]:
        """Two lines a workspace, the second empty, so that they are easy to hit."""
        found: list[Part] = []
        for place, workspace in enumerate(self.hearth.workspaces, 1):
            here = workspace.name == self.hearth.workspace.name
            text = Content.assemble(
                ("▌" if here else " ", "$primary"),
                (f"{workspace.icon} {place % 10}", "bold $primary" if here else "$muted"),
            )
            found += [Part(text, f"app.workspace({place})"), Part(Content(""), f"app.workspace({place})")]
        return found


class StatusBar(Line):
    """The chips of `tui.status`, each of a fixed width; those that find no room are left out, least needed first."""

    DEFAULT_CSS = """
    StatusBar { height: 1; padding: 0 1; background: $chrome; color: $foreground; }
    """
    ORDER = ("engine", "pulls", "model", "context", "rate", "queue", "memory", "follow")

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[object, ...] = ()

    def on_mount(self) -> None:
        """Listen to the sampler."""
        self.hearth.sampled.subscribe(self, lambda _: self.update())

    def update(self) -> None:
        """Draw again if anything reads differently."""
        now = (self.hearth.sample, self.hearth.chat_status)
        if now != self._shown:
            self._shown = now
            self.refresh()

    def parts(self) -> Sequence[Part]:
        """The chips that fit, in their fixed order."""
        found = status.chips(self.hearth.sample, self.hearth.chat_status)
        room = self.content_region.width
        kept: list[status.Chip] = []
        by_need = sorted(found, key=lambda chip: chip.name == "model")  # the header names the model already
        by_need.sort(key=lambda chip: chip.name in ("memory", "model", "queue"))
        for chip in by_need:
            need = chip.width + 2 + (3 if kept else 0)
            if need <= room:
                kept.append(chip)
                room -= need
        kept.sort(key=lambda chip: self.ORDER.index(chip.name))
        return list(_separated(kept))


def _separated(chips: Iterable[status.Chip]) -> Iterable[Part]:
    for index, chip in enumerate(chips):
        if index:
            yield Part(Content.styled(" │ ", "$line"))
        text = Content.assemble((chip.glyph + " ", f"${chip.variable}"), chip.text)
        yield Part(fitted(text, chip.width + 2), chip.action)


class KeysLine(Line):
    """The footer: keys that do something right now, most local first, as many as fit."""

    DEFAULT_CSS = """
    KeysLine { height: 1; padding: 0 1; background: $footer-background; color: $muted; }
    KeysLine.-off { display: none; }
    """

    def on_mount(self) -> None:
        """Follow the focus."""
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def parts(self) -> Sequence[Part]:
        """One part a key."""
        room = self.content_region.width
        found: list[Part] = []
        seen: set[str] = set()
        for _, (node, binding, enabled, _) in self.screen.active_bindings.items():
            if not (binding.show and enabled) or binding.action in seen:
                continue
            seen.add(binding.action)
            key = self.app.get_key_display(binding)
            text = Content.assemble((key, "bold $footer-key-foreground"), " ", binding.description, "   ")
            if text.cell_length - 3 > room:
                break
            room -= text.cell_length
            scope = {self.app: "app.", self.screen: "screen."}.get(node, "focused.")
            action = binding.action if "." in binding.action.partition("(")[0] else scope + binding.action
            found.append(Part(text, action))
        return found
